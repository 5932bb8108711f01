import { isAlias, isMap, isScalar, LineCounter, type ParsedNode, parseDocument } from 'yaml';
import { type Entry, isGroup } from './entry.ts';
import type { Problem } from './problem.ts';

/** Settings of a YAML or JSON text, each with the line and column where it stands. JSON is read as the YAML that it is. */
export function readText(text: string, name: string): { entries: Entry[]; problems: Problem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text.replace(/^\uFEFF/, ''), { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    const problems = document.errors.map(error => ({ where: at(error.pos[0]), path: '', message: error.message }));
    return { entries: [], problems };
  }
  const entries: Entry[] = [];
  const problems: Problem[] = [];
  walk(document.contents, '');
  return { entries, problems };

  function walk(given: ParsedNode | null, path: string): void {
    const node = isAlias(given) ? (given.resolve(document) as ParsedNode | undefined) : given;
    if (node === null || node === undefined || (isScalar(node) && node.value === null)) return;
    if (!isMap(node)) {
      problems.push({ where: at(node.range[0]), path, message: 'is not allowed here; allowed: a group of settings' });
      return;
    }
    for (const { key, value } of node.items) {
      const keyNode = key as ParsedNode;
      const keyName = isScalar(keyNode) ? String(keyNode.value) : keyNode.toString();
      const inner = path === '' ? keyName : `${path}.${keyName}`;
      if (isGroup(inner)) walk(value as ParsedNode | null, inner);
      else {
        const raw: unknown = value ? (value as ParsedNode).toJS(document) : null;
        entries.push({ path: inner, raw, source: 'file', where: at(keyNode.range[0]) });
      }
    }
  }
}
