import { XMLParser } from 'fast-xml-parser';
import { S3Error } from './errors.ts';

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
export const S3_NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** One element with text, escaped; nothing at all for undefined. */
export function element(name: string, text: string | number | boolean | undefined): string {
  return text === undefined ? '' : `<${name}>${escapeXml(String(text))}</${name}>`;
}

/** A whole document: the root in S3's namespace around elements that are already XML. */
export function xmlDocument(root: string, content: string): string {
  return `${XML_DECLARATION}<${root} xmlns="${S3_NAMESPACE}">${content}</${root}>`;
}

export function escapeXml(text: string): string {
  return text.replace(/[<>&"'\r]/g, c => (c === '\r' ? '&#13;' : ENTITIES[c]!));
}

const ENTITIES: Record<string, string> = { '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;', "'": '&apos;' };

const parser = new XMLParser({
  parseTagValue: false,
  trimValues: false,
  htmlEntities: true,
  ignoreDeclaration: true,
  isArray: name => name === 'Part' || name === 'Object' || name === 'Tag',
});

/** The children of a request body's root, or MalformedXML. Values are strings, records, or arrays of them. */
export function parseXml(body: Buffer, root: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = parser.parse(body.toString('utf8'));
  } catch {
    parsed = undefined;
  }
  const found = record(record(parsed)?.[root]);
  if (!found) throw new S3Error('MalformedXML', 'The XML you provided was not well-formed or did not validate.');
  return found;
}

export function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

/** Text of a child element, trimmed where whitespace can't matter (never for keys). */
export function text(of: Record<string, unknown>, name: string): string | undefined {
  const value = of[name];
  return typeof value === 'string' ? value : undefined;
}

export function list(of: Record<string, unknown>, name: string): Record<string, unknown>[] {
  const value = of[name];
  if (!Array.isArray(value)) return [];
  return value.map(record).filter(entry => entry !== undefined);
}
