import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { filesUnder } from './harm.ts';
import { openFiles } from './open-files.ts';
import type { Place } from './places.ts';
import { overlaps } from './stored-once.ts';

/** How long what runs behind answers may take to end: a flight finishes the extent in hand, ms. */
const WITHIN = 10_000;

/**
 * What is not as it should be when nobody asks for anything any more.
 *
 * @param uploads the folders of this run's multipart uploads, and whether S3 has said through a proxy that they are over
 * @param raced hashes of objects that were read while an upload of them took its place: then what was read may be there twice
 */
export async function quiet(
  place: Place,
  uploads: ReadonlyMap<string, boolean>,
  raced: ReadonlySet<string>,
): Promise<string[]> {
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
  const over = await settles(
    async () => (await staged(place.cacheDir)).filter(name => uploads.get(name)).join(', '),
    '',
  );
  if (over !== '') problems.push(`left in uploads/ of what is over: ${over}`);
  for (const [i, { proxy }] of place.seats.entries()) {
    const writing = async () =>
      (await openFiles(proxy.pid)).filter(path => path.startsWith(join(place.cacheDir, 'tmp')));
    const open = await settles(async () => (await writing()).join(', '), '');
    if (open !== '') problems.push(`proxy ${i}: open when all is quiet: ${open}`);
  }
  // Two that fetch the same bytes at the same time may each keep them (store/extents.ts).
  if (place.seats.length === 1) {
    const twice = await settles(async () => (await overlaps(place.cacheDir, raced)).join('\n'), '');
    if (twice !== '') problems.push(twice);
  }
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

/** Names in uploads/. */
export async function staged(cacheDir: string): Promise<string[]> {
  return readdir(join(cacheDir, 'uploads')).catch(() => []);
}

/** Folders in tmp/ that belong to no instance. */
export async function ownerless(cacheDir: string): Promise<string[]> {
  const folders = await readdir(join(cacheDir, 'tmp')).catch(() => []);
  const instances = new Set(await readdir(join(cacheDir, 'instances')).catch(() => []));
  return folders.filter(name => !instances.has(`${name}.json`));
}

/** What is still in uploads/ when all has been abandoned for longer than it may stay. */
export async function unreclaimed({ cacheDir, plan }: Place): Promise<string[]> {
  if (plan.cache?.incomplete_upload_ttl === undefined) return [];
  const left = await settles(async () => (await staged(cacheDir)).join(', '), '');
  return left === '' ? [] : [`abandoned, and left in uploads/: ${left}`];
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
