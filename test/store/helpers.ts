import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, expect, vi } from 'vitest';
import { Window } from '../../proxy-core/read/window.ts';
import type { ObjectAddress, RawHeaders, Span } from '../../proxy-core/request/index.ts';
import type { Capacity, Presence } from '../../proxy-core/store/disk/capacity.ts';
import {
  type Fill,
  type Head,
  type ObjectEntry,
  type Stamp,
  Store,
  type StoreCounters,
  type StoreOptions,
  versionId,
} from '../../proxy-core/store/index.ts';

import { filesIn } from './plain-files.ts';

export { filesIn };

const cleanUps: (() => unknown)[] = [];
/** Of the real clock, also where a test has stopped it. */
const realTimeout = setTimeout;

afterEach(async () => {
  // What is being closed waits by the clock.
  vi.restoreAllMocks();
  vi.useRealTimers();
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

export function afterTest(cleanUp: () => unknown): void {
  cleanUps.push(cleanUp);
}

export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cistern-store-'));
  afterTest(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface TestStore {
  readonly store: Store;
  readonly counters: StoreCounters;
  readonly problems: Map<string, string>;
  /** Ends it before the test does. */
  close(): Promise<boolean>;
}

export async function openStore(cacheDir: string, options: Partial<StoreOptions> = {}): Promise<TestStore> {
  const counters = { disk_errors: 0, disk_corrupt: 0, disk_skipped: 0, epochs_moved: 0 };
  const problems = new Map<string, string>();
  const store = new Store({
    cacheDir,
    maxDiskBytes: 1 << 30,
    minFreeSpace: { bytes: 0 },
    uploadPercent: 10,
    pinPercent: 50,
    incompleteUploadTtl: 86_400_000,
    putTtl: () => 3_600_000,
    ramEnabled: false,
    maxRamBytes: 64 << 20,
    stores: new Set(),
    maxHeads: 10_000,
    algorithm: 'tinylfu',
    memoryBudget: 64 << 20,
    mergeGap: 0,
    diskTimeout: 5000,
    shared: false,
    onEvent: (key, message) => problems.set(key, message),
    onProblem: (key, message) => {
      if (message === undefined) problems.delete(key);
      else problems.set(key, message);
    },
    onVolume: () => {},
    counters,
    ...options,
  });
  let closed: Promise<boolean> | undefined;
  const close = () => {
    closed ??= store.close();
    return closed;
  };
  afterTest(close);
  await store.open();
  // Before it is known how large the cache is there is no room for an epoch of each object; a volume that hangs never tells.
  for (let i = 0; i < 50 && !store.capacity.counted; i++) await new Promise(resolve => realTimeout(resolve, 2));
  return { store, counters, problems, close };
}

/** What a read of a large object from S3 leaves: its head and its content, as far as there is room. */
export async function keepLarge(
  store: Store,
  entry: ObjectEntry,
  head: Head,
  content: Buffer,
  stamp: Stamp = { validatedAt: store.now(), epoch: entry.epoch },
): Promise<void> {
  store.adopt(entry, head, stamp);
  await store.keepHead(entry, head, stamp);
  await fillWhole(store, entry, head, content);
}

/** A fill that gets its bytes as it does from a flight: in pieces of the memory budget, from a source that waits when it should. */
export interface Filling {
  readonly fill: Fill;
  /** Byte of the object that comes next. */
  readonly position: number;
  /** The next bytes, whether the source should wait or not. */
  append(chunk: Buffer): void;
  /** The next bytes, in chunks of this size; resolves when the last one has been taken. */
  send(content: Buffer, chunk?: number): Promise<void>;
  /** No more comes: resolves when all that is kept has its place. */
  end(): Promise<void>;
}

export interface FillingOptions {
  /** Without it, the whole object. */
  readonly span?: Span;
  readonly ram?: boolean;
  readonly compression?: 'off' | 'try';
  readonly urgent?: () => boolean;
  readonly onChange?: () => void;
}

export function startFill(store: Store, entry: ObjectEntry, head: Head, options: FillingOptions = {}): Filling {
  const { span = { start: 0, end: head.length - 1 }, ram = false, compression = 'try', urgent = () => false } = options;
  let changed = () => {};
  const fill = store.fill(entry, head, span, {
    ram,
    compression,
    shared: () => false,
    urgent,
    onChange: () => {
      options.onChange?.();
      changed();
    },
  });
  const { pool } = store;
  const window = new Window({
    ...span,
    pool,
    onMissed: start => fill.missed(start),
    onPiece: (piece, start, length) => fill.write(piece, start, length),
  });
  const ready = async () => {
    while (fill.busy)
      await new Promise<void>(resolve => {
        changed = resolve;
      });
  };
  const append = (chunk: Buffer) => {
    window.append(chunk);
    // Only the piece that is being filled is held, as by a flight whose readers have taken all there is.
    window.trim(window.end);
  };
  return {
    fill,
    get position() {
      return window.end;
    },
    append,
    async send(content, chunk = 100_000) {
      for (let at = 0; at < content.length; at += chunk) {
        await ready();
        append(content.subarray(at, at + chunk));
      }
      await ready();
    },
    async end() {
      window.close();
      await fill.end();
      window.clear();
    },
  };
}

/** Keeps the whole of the entry's version on disk, as the flight of a cold read does. */
export async function fillWhole(store: Store, entry: ObjectEntry, head: Head, content: Buffer): Promise<void> {
  const filling = startFill(store, entry, head);
  await filling.send(content);
  await filling.end();
}

export function address(key: string, bucket = 'data', origin = 'aws'): ObjectAddress {
  return { origin, bucket, key, storeKey: `${origin}\0${bucket}\0${key}` };
}

export function headOf(length: number, etag = '"one"', headers: RawHeaders = []): Head {
  return {
    etag,
    length,
    version: versionId(etag, length),
    headers: ['ETag', etag, 'Content-Length', '', ...headers],
    lastModified: undefined,
    checksumsKnown: false,
  };
}

/** Content that says where it came from: a different byte sequence for each seed, cheap to make, incompressible. */
export function noise(length: number, seed = 1): Buffer {
  const content = Buffer.allocUnsafe(length);
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    content[i] = state & 0xff;
  }
  return content;
}

/** Text, which shrinks. */
export function prose(length: number, seed = 1): Buffer {
  const line = `the ${seed} quick brown fox jumps over the lazy dog, again and again; `;
  return Buffer.from(line.repeat(Math.ceil(length / line.length)).slice(0, length));
}

/** The object `key` with this head as its current version, none of it on disk. */
export async function beginObject(store: Store, head: Head): Promise<ObjectEntry> {
  const entry = await store.catalog.look(address('key'));
  store.adopt(entry, head, { validatedAt: store.now(), epoch: '' });
  return entry;
}

/** What the disk gives of a span that it has. */
export async function readBack(
  store: Store,
  entry: ObjectEntry,
  head: Head,
  from: number,
  to: number,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = from; at <= to; ) {
    const content = await store.read(entry, head, { start: at, end: to }, { ram: false });
    if (!content) throw new Error(`nothing at ${at}`);
    pieces.push(...content.pieces.map(piece => Buffer.from(piece)));
    at += content.length;
    content.release();
  }
  return Buffer.concat(pieces);
}

/** Spans of the extents below a cache folder, `<start>-<end>`, in order. */
export function extentsIn(folder: string): string[] {
  return filesIn(join(folder, 'buckets'))
    .map(path => basename(path).replace(/^.*\./, ''))
    .filter(name => /^\d+-\d+$/.test(name))
    .sort((a, b) => Number(a.split('-')[0]) - Number(b.split('-')[0]));
}

export function halfWrittenIn(folder: string): string[] {
  return filesIn(join(folder, 'tmp'));
}

/** What `du` says of a folder and all in it. */
export function diskUsage(folder: string): number {
  return Number(execFileSync('du', ['-s', '-B1', folder], { encoding: 'utf8' }).split('\t')[0]);
}

/** A capacity's process where there is no other, and no instance file. */
export function byItself(capacity: () => Capacity): Presence {
  return {
    id: 'only',
    current: true,
    async beatAgain() {
      const { accounts } = capacity();
      accounts.publish();
      accounts.look({ all: [], unreadable: undefined, shown: true });
      capacity().looked();
    },
    async forget() {},
  };
}

/** From here on the clock and all timers stand still, but for `vi.advanceTimersByTime`. Files and promises go on. */
export function stopClock(): void {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
}

/** Waits for a condition while the clock stands still. */
export async function when(condition: () => boolean): Promise<void> {
  const until = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > until) throw new Error(`did not come about: ${condition}`);
    await new Promise(setImmediate);
  }
}

/** Writes of content that end when the test says so. */
export interface HeldWrites {
  readonly waiting: { go(): void; fail(code: string): void }[];
  /** Lets go of all, and holds no more. */
  end(): void;
}

export function holdWrites({ volume }: Store): HeldWrites {
  const waiting: HeldWrites['waiting'] = [];
  const real = volume.writev.bind(volume);
  const spy = vi.spyOn(volume, 'writev').mockImplementation(
    (...args) =>
      new Promise((resolve, reject) => {
        waiting.push({
          go: () => resolve(real(...args)),
          fail: code => reject(Object.assign(new Error(code), { code })),
        });
      }),
  );
  const end = () => {
    spy.mockRestore();
    for (const held of waiting.splice(0)) held.go();
  };
  afterTest(end);
  return { waiting, end };
}

/** Waits for a condition, not for a time. */
export async function until(condition: () => unknown, timeout = 10_000): Promise<void> {
  await vi.waitFor(
    async () => {
      expect(await condition()).toBeTruthy();
    },
    { timeout, interval: 10 },
  );
}

/** Lets the calls of an operation of the volume through one by one. */
export function hold(store: Store, operation: 'readFile' | 'rename', of: (path: string) => boolean) {
  const held: { path: string; go(): void }[] = [];
  const real = store.volume[operation].bind(store.volume) as (...args: string[]) => Promise<unknown>;
  const spy = vi.spyOn(store.volume, operation).mockImplementation((async (...args: string[]) => {
    const path = args.at(-1)!;
    if (!of(path)) return real(...args);
    const result = operation === 'readFile' ? real(...args) : undefined;
    await new Promise<void>(go => held.push({ path, go }));
    return result ?? real(...args);
  }) as never);
  afterTest(() => spy.mockRestore());
  return held;
}
