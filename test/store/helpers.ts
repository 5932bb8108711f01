import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, vi } from 'vitest';
import type { ObjectAddress, RawHeaders } from '../../proxy-core/request/index.ts';
import { type Head, Store, type StoreCounters, type StoreOptions, versionId } from '../../proxy-core/store/index.ts';

export { filesIn } from './plain-files.ts';

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
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
    ramEnabled: false,
    maxRamBytes: 64 << 20,
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
  return { store, counters, problems, close };
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

/** What `du` says of a folder and all in it. */
export function diskUsage(folder: string): number {
  return Number(execFileSync('du', ['-s', '-B1', folder], { encoding: 'utf8' }).split('\t')[0]);
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
