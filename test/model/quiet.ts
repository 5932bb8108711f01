import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { decodeExtent } from '../../proxy-core/store/disk/extent-memory.ts';
import { decodeHead } from '../../proxy-core/store/disk/head-file.ts';
import { filesUnder } from './harm.ts';
import { openFiles } from './open-files.ts';
import type { Place } from './places.ts';

/** How long what runs behind answers may take to end: a flight finishes the extent in hand, ms. */
const WITHIN = 10_000;

/**
 * What is not as it should be when nobody asks for anything any more. `storedOnce`: where one process filled the disk, no
 * byte of a version is there twice.
 */
export async function quiet(place: Place, { storedOnce }: { storedOnce: boolean }): Promise<string[]> {
  const problems: string[] = [];
  for (const [i, { proxy }] of place.seats.entries()) {
    for (const gauge of ['cistern_active_requests', 'cistern_flights', 'cistern_buffer_bytes']) {
      const left = await settles(() => proxy.gauge(gauge), 0);
      if (left !== 0) problems.push(`proxy ${i}: ${gauge} stays at ${left} when all is quiet`);
    }
  }
  // What a killed process had in hand stays until others take it for dead, a minute later.
  if (!place.plan.processes) {
    const left = await settles(async () => (await halfWritten(place.cacheDir)).join(', '), '');
    if (left !== '') problems.push(`left in tmp/: ${left}`);
  }
  for (const [i, { proxy }] of place.seats.entries()) {
    const writing = async () =>
      (await openFiles(proxy.pid)).filter(path => path.startsWith(join(place.cacheDir, 'tmp')));
    const open = await settles(async () => (await writing()).join(', '), '');
    if (open !== '') problems.push(`proxy ${i}: open when all is quiet: ${open}`);
  }
  if (storedOnce && place.seats.length === 1) problems.push(...(await overlaps(place.cacheDir)));
  return problems;
}

/** What of a place in this process is still open after its end: any file of its folder, and more sockets than before. */
export async function leftOpen(folder: string, socketsBefore: number): Promise<string[]> {
  const left = async () => {
    const open = await openFiles(undefined);
    const sockets = open.filter(isSocket).length - socketsBefore;
    return [...open.filter(path => path.startsWith(folder)), ...(sockets > 0 ? [`${sockets} sockets`] : [])].join(', ');
  };
  const open = await settles(left, '');
  return open === '' ? [] : [`still open after the end: ${open}`];
}

export async function socketCount(): Promise<number> {
  return (await openFiles(undefined)).filter(isSocket).length;
}

function isSocket(link: string): boolean {
  return link.startsWith('socket:');
}

/** Files in tmp/; when all is quiet nothing is being written. */
async function halfWritten(cacheDir: string): Promise<string[]> {
  return filesUnder(join(cacheDir, 'tmp'));
}

/** Folders in tmp/ that belong to no instance. */
export async function ownerless(cacheDir: string): Promise<string[]> {
  const folders = await readdir(join(cacheDir, 'tmp')).catch(() => []);
  const instances = new Set(await readdir(join(cacheDir, 'instances')).catch(() => []));
  return folders.filter(name => !instances.has(`${name}.json`));
}

interface Kept {
  readonly start: number;
  readonly end: number;
  readonly name: string;
}

/** What of one version is there twice: one process stores every byte once, in whatever order it was asked for. */
export async function overlaps(cacheDir: string): Promise<string[]> {
  const versions = new Map<string, Kept[]>();
  for (const file of await filesUnder(join(cacheDir, 'buckets'))) {
    const found = extentIn(file) ?? (file.endsWith('.head') ? await bodyIn(file) : undefined);
    if (!found) continue;
    const { version, start, end } = found;
    versions.set(version, [...(versions.get(version) ?? []), { start, end, name: file.slice(cacheDir.length) }]);
  }
  return [...versions.values()].flatMap(kept => {
    kept.sort((a, b) => a.start - b.start || a.end - b.end);
    return kept.flatMap((one, i) =>
      i > 0 && kept[i - 1]!.end >= one.start ? [`stored twice: ${kept[i - 1]!.name} and ${one.name}`] : [],
    );
  });
}

/** `<hash>.<version>.<start>-<end>` or `<hash>.d/<version>/<GiB>/<start>-<end>` */
function extentIn(file: string): { version: string; start: number; end: number } | undefined {
  const found = /^(.*)[./]([0-9a-f]{32})(?:\.|\/\d+\/)(\d+)-(\d+)$/.exec(file);
  if (!found) return undefined;
  const [, object, version, start, end] = found;
  return { version: `${object!.replace(/\.d$/, '')} ${version}`, start: Number(start), end: Number(end) };
}

/** The body behind a head, unless it is damaged: then its bytes are not kept there. */
async function bodyIn(file: string): Promise<{ version: string; start: number; end: number } | undefined> {
  const content = await readFile(file).catch(() => undefined);
  const key = content && keyIn(content.toString('latin1'));
  const head = key && decodeHead(key, content);
  if (!head || head.bodyAt === content.length) return undefined;
  const { version, length } = head.head;
  const hash = basename(file, '.head');
  const whole = { start: 0, end: length - 1 };
  const body = await decodeExtent(content.subarray(head.bodyAt), { hash, version }, whole);
  return body && { version: `${file.slice(0, -'.head'.length)} ${version}`, ...whole };
}

/** The store key that a head names; undefined where it is damaged. */
function keyIn(head: string): string | undefined {
  try {
    return (JSON.parse(/^[0-9a-f]{16} (.*)$/m.exec(head)?.[1] ?? '') as { key: string }).key;
  } catch {
    return undefined;
  }
}

/** The value once it is what it should be, or what it still was in the end. */
async function settles<T>(value: () => Promise<T>, wanted: T): Promise<T> {
  const until = performance.now() + WITHIN;
  for (;;) {
    const now = await value();
    if (now === wanted || performance.now() > until) return now;
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}
