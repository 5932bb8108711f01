import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { filesUnder } from './harm.ts';
import type { Place } from './places.ts';

/** How long what runs behind answers may take to end: a flight finishes the extent in hand, ms. */
const WITHIN = 10_000;

/** What is not as it should be when nobody asks for anything any more. */
export async function quiet(place: Place): Promise<string[]> {
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
  if (place.seats.length === 1) problems.push(...(await overlaps(place.cacheDir)));
  return problems;
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

/** Extents of one version that share bytes: one process stores every byte once, in whatever order it was asked for. */
export async function overlaps(cacheDir: string): Promise<string[]> {
  const spans = new Map<string, { start: number; end: number; name: string }[]>();
  for (const file of await filesUnder(join(cacheDir, 'buckets'))) {
    const found = /^(.*?)(\d+)-(\d+)$/.exec(basename(file));
    if (!found) continue;
    const version = `${file.slice(0, -basename(file).length)}${found[1]}`;
    const known = spans.get(version) ?? [];
    known.push({ start: Number(found[2]), end: Number(found[3]), name: file.slice(cacheDir.length) });
    spans.set(version, known);
  }
  return [...spans.values()].flatMap(extents => {
    extents.sort((a, b) => a.start - b.start || a.end - b.end);
    return extents.flatMap((extent, i) =>
      i > 0 && extents[i - 1]!.end >= extent.start ? [`stored twice: ${extents[i - 1]!.name} and ${extent.name}`] : [],
    );
  });
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
