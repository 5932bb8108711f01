import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { filesUnder } from '../model/harm.ts';
import { openFiles } from '../model/open-files.ts';
import type { Place } from '../model/places.ts';
import { quiet } from '../model/quiet.ts';
import type { Party } from './party.ts';
import { allocated } from './watch.ts';

/** Processes are taken for dead after a minute, and what belongs to none is swept up within two more looks. */
const TIDIED = 200_000;
/** Files that nobody reads are closed after 15 s; connections to S3 and between neighbours a little later. */
const CLOSED = 40_000;
const COUNTED = 30_000;
/** Of a process that does nothing: its own, side server, neighbours, kept connections to S3. */
const IDLE_DESCRIPTORS = 120;

/** Everything in `buckets/` that the store makes, below the folder of a bucket. */
const KNOWN =
  /^(_settings\.json|[0-9a-f]{2}\/[0-9a-f]{3}\/[0-9a-f]{64}\.(head|epoch|[0-9a-f]{32}\.(\d+-\d+|part-\d+|parts\.json)|d\/[0-9a-f]{32}\/(\d+\/\d+-\d+|part-\d+|parts\.json)))$/;

/** What is not as it should be when chaos and clients have ended: first all is read once more, then nothing may be left. */
export async function ending(
  place: Place,
  parties: readonly Party[],
  say: (text: string) => void,
): Promise<{ problems: string[]; bytes: number }> {
  const problems: string[] = [];
  let bytes = 0;
  say('reading everything once more');
  for (const party of parties) for (const via of [0, 1] as const) bytes += await party.readAll(via);
  problems.push(...(await quiet(place, new Map(), new Set())));
  say('waiting until what the dead have left is swept up');
  const left = await settles(async () => (await ofTheDead(place)).join(', '), '', TIDIED);
  if (left !== '') problems.push(`left by dead processes: ${left}`);
  for (const seat of place.seats) seat.close();
  for (const [i, { proxy }] of place.seats.entries()) {
    const removed = await settles(
      async () =>
        (await openFiles(proxy.pid))
          .filter(path => path.startsWith(place.cacheDir) && path.endsWith('(deleted)'))
          .join(', '),
      '',
      CLOSED,
    );
    if (removed !== '') problems.push(`proxy ${i} holds open what is removed: ${removed}`);
    const count = await settles(
      async () => Math.max(IDLE_DESCRIPTORS, (await openFiles(proxy.pid)).length),
      IDLE_DESCRIPTORS,
      CLOSED,
    );
    if (count !== IDLE_DESCRIPTORS)
      problems.push(`proxy ${i} has ${count} files and sockets open when nobody asks for anything`);
  }
  say('stopping');
  for (const { proxy } of place.seats) await proxy.stop();
  for (const name of ['tmp', 'instances']) {
    const names = await readdir(join(place.cacheDir, name)).catch(() => []);
    if (names.length > 0) problems.push(`in ${name}/ after the end of all: ${names.join(', ')}`);
  }
  const strange = (await filesUnder(join(place.cacheDir, 'buckets')))
    .map(path => relative(join(place.cacheDir, 'buckets'), path))
    .filter(path => !KNOWN.test(path.slice(path.indexOf('/') + 1)));
  if (strange.length > 0) problems.push(`files that nobody knows: ${strange.join(', ')}`);
  say('counting anew');
  problems.push(...(await counts(place)));
  return { problems, bytes };
}

/** A process that has just counted says what the volume says. */
async function counts({ seats, cacheDir }: Place): Promise<string[]> {
  const seat = seats[0]!;
  await seat.startAgain();
  const onDisk = async () =>
    (await allocated(join(cacheDir, 'buckets'))) + (await allocated(join(cacheDir, 'uploads')));
  const difference = async () => (await seat.proxy.gauge('cistern_disk_cache_bytes')) - (await onDisk());
  const off = await settles(difference, 0, COUNTED);
  return off === 0 ? [] : [`a count is off by ${off} bytes, of ${await onDisk()}`];
}

/** Instances and half-written files of processes that are gone. */
async function ofTheDead({ cacheDir, seats }: Place): Promise<string[]> {
  const alive = new Set(seats.map(({ proxy }) => String(proxy.pid)));
  const all = await Promise.all(
    ['tmp', 'instances'].map(async folder =>
      (await readdir(join(cacheDir, folder)).catch(() => [])).map(name => `${folder}/${name}`),
    ),
  );
  return all.flat().filter(name => !alive.has(name.split('/')[1]!.split('-')[0]!));
}

/** The value once it is what it should be, or what it still was in the end. */
async function settles<T>(value: () => Promise<T>, wanted: T, within: number): Promise<T> {
  const until = performance.now() + within;
  for (;;) {
    const now = await value();
    if (now === wanted || performance.now() > until) return now;
    await wait(500);
  }
}
