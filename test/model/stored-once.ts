import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { decodeExtent } from '../../proxy-core/store/disk/extent-memory.ts';
import { decodeHead } from '../../proxy-core/store/disk/head-file.ts';
import { filesUnder } from './harm.ts';

/** A run of bytes of an object's version in a file. */
interface Kept {
  readonly version: string;
  readonly start: number;
  readonly end: number;
  readonly file: string;
}

/**
 * What of one version is there twice: one process stores every byte once, in whatever order it was asked for.
 *
 * @param spared hashes of objects of which that is not expected
 */
export async function overlaps(cacheDir: string, spared: ReadonlySet<string> = new Set()): Promise<string[]> {
  const versions = new Map<string, Kept[]>();
  for (const file of await filesUnder(join(cacheDir, 'buckets'))) {
    const kept = extentIn(file) ?? (file.endsWith('.head') ? await bodyIn(file) : undefined);
    if (kept && !spared.has(/[0-9a-f]{64}/.exec(file)?.[0] ?? ''))
      versions.set(kept.version, [...(versions.get(kept.version) ?? []), kept]);
  }
  return [...versions.values()].flatMap(all => {
    all.sort((a, b) => a.start - b.start || b.end - a.end);
    const twice: string[] = [];
    let furthest = all[0]!;
    for (const one of all.slice(1)) {
      if (one.start <= furthest.end) twice.push(`stored twice: ${furthest.file} and ${one.file}`);
      if (one.end > furthest.end) furthest = one;
    }
    return twice;
  });
}

/** `<hash>.<version>.<start>-<end>` or `<hash>.d/<version>/<GiB>/<start>-<end>` */
function extentIn(file: string): Kept | undefined {
  const found = /^(.*)[./]([0-9a-f]{32})(?:\.|\/\d+\/)(\d+)-(\d+)$/.exec(file);
  if (!found) return undefined;
  const [, object, version, start, end] = found;
  return { version: `${object!.replace(/\.d$/, '')} ${version}`, start: Number(start), end: Number(end), file };
}

/** The body behind a head, unless it is damaged: then its bytes are not kept there. */
async function bodyIn(file: string): Promise<Kept | undefined> {
  const content = await readFile(file).catch(() => undefined);
  const key = content && keyIn(content.toString('latin1'));
  const head = key && decodeHead(key, content);
  if (!head || head.bodyAt === content.length) return undefined;
  const { version, length } = head.head;
  const hash = basename(file, '.head');
  const whole = { start: 0, end: length - 1 };
  const body = await decodeExtent(content.subarray(head.bodyAt), { hash, version }, whole);
  return body && { version: `${file.slice(0, -'.head'.length)} ${version}`, ...whole, file };
}

/** The store key that a head names; undefined where it is damaged. */
function keyIn(head: string): string | undefined {
  try {
    return (JSON.parse(/^[0-9a-f]{16} (.*)$/m.exec(head)?.[1] ?? '') as { key: string }).key;
  } catch {
    return undefined;
  }
}
