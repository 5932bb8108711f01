import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type AccessEntry, AccessLog, type AccessLogOptions, Counters } from '../../proxy-core/observe/index.ts';

const NOON = Date.UTC(2026, 10, 22, 12, 3, 30);
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

let dir: string;
let now: number;
let counters: Counters;
let problems: (string | undefined)[];

beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), 'cistern-access-')), 'access');
  now = NOON;
  counters = new Counters();
  problems = [];
});
afterEach(() => rmSync(dirname(dir), { recursive: true, force: true }));

function create(change: Partial<AccessLogOptions> = {}): AccessLog {
  return new AccessLog({
    dir,
    mode: 'all',
    flushInterval: 60 * MINUTE,
    rotationInterval: 5 * MINUTE,
    retentionDays: 30,
    counters,
    onProblem: problem => problems.push(problem),
    hostname: 'host-a',
    now: () => now,
    ...change,
  });
}

const entry = (key: string, change: Partial<AccessEntry> = {}): AccessEntry => ({
  time: now,
  remoteAddress: '127.0.0.1',
  requestId: 'R1',
  hostId: undefined,
  method: 'GET',
  target: `/bucket/${key}`,
  httpVersion: '1.1',
  host: 's3.amazonaws.com',
  origin: 'aws',
  bucket: 'bucket',
  key,
  isCopy: false,
  status: 200,
  errorCode: undefined,
  bytesSent: 10,
  objectSize: 10,
  totalTime: 1,
  turnAroundTime: 1,
  referer: undefined,
  userAgent: undefined,
  versionId: undefined,
  signature: { scheme: 'sigv4', presigned: false },
  tls: undefined,
  outcome: 'miss',
  reason: undefined,
  ...change,
});

const NOON_FILE = '2026/11/22/2026-11-22-12-00-00-host-a';
const keys = (file: string): string[] =>
  readFileSync(join(dir, file), 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => line.split(' ')[8]!);

describe('the access log', () => {
  it('writes what was recorded, in order, to the file of the interval, for this user only', async () => {
    const log = create();
    for (const key of ['a', 'b', 'c']) log.record(entry(key));
    await log.flush();
    expect(keys(NOON_FILE)).toEqual(['a', 'b', 'c']);
    expect(statSync(join(dir, NOON_FILE)).mode & 0o077).toBe(0);
    expect(statSync(dir).mode & 0o077).toBe(0);
    await log.close();
  });

  it('writes on its own every flush interval', async () => {
    const log = create({ flushInterval: 5 });
    log.record(entry('a'));
    await vi.waitFor(() => expect(keys(NOON_FILE)).toEqual(['a']));
    await log.close();
  });

  it('appends across flushes and restarts within an interval', async () => {
    const first = create();
    first.record(entry('a'));
    await first.flush();
    first.record(entry('b'));
    await first.close();
    const second = create();
    second.record(entry('c'));
    await second.close();
    expect(keys(NOON_FILE)).toEqual(['a', 'b', 'c']);
  });

  it('begins a new file with each rotation interval and a new folder with each day', async () => {
    const log = create();
    log.record(entry('a'));
    await log.flush();
    now += 5 * MINUTE;
    log.record(entry('b'));
    await log.flush();
    now += DAY;
    log.record(entry('c'));
    await log.close();
    expect(keys(NOON_FILE)).toEqual(['a']);
    expect(keys('2026/11/22/2026-11-22-12-05-00-host-a')).toEqual(['b']);
    expect(keys('2026/11/23/2026-11-23-12-05-00-host-a')).toEqual(['c']);
  });

  it('takes the rotation interval from the settings', async () => {
    const log = create({ rotationInterval: 60 * MINUTE });
    now += 40 * MINUTE;
    log.record(entry('a'));
    await log.close();
    expect(readdirSync(join(dir, '2026/11/22'))).toEqual(['2026-11-22-12-00-00-host-a']);
  });

  it('makes a file name of any host name', async () => {
    const log = create({ hostname: '../Müller/pc' });
    log.record(entry('a'));
    await log.close();
    expect(readdirSync(join(dir, '2026/11/22'))).toEqual(['2026-11-22-12-00-00-.._M_ller_pc']);
  });

  it('makes no file without a request', async () => {
    await create().close();
    expect(existsSync(dir)).toBe(false);
  });

  it('leaves out what the cache had no part in, in the mode cached_only', async () => {
    const log = create({ mode: 'cached_only' });
    for (const outcome of ['hit', 'revalidated', 'partial', 'miss', 'bypass', undefined] as const) {
      log.record(entry(String(outcome), { outcome }));
    }
    await log.close();
    expect(keys(NOON_FILE)).toEqual(['hit', 'revalidated', 'partial']);
    expect(counters.access_log_dropped).toBe(0);
  });

  it('writes thousands of lines that come while it writes, each once', async () => {
    const log = create();
    for (let i = 0; i < 3000; i++) log.record(entry(`k${i}`));
    const flushing = log.flush();
    for (let i = 3000; i < 5000; i++) log.record(entry(`k${i}`));
    await flushing;
    await log.close();
    expect(keys(NOON_FILE)).toEqual(Array.from({ length: 5000 }, (_, i) => `k${i}`));
  });

  it('writes early when much waits, so that memory stays bounded', async () => {
    const log = create();
    for (let i = 0; i < 1000; i++) log.record(entry(`k${i}`, { target: `/bucket/${'x'.repeat(4000)}` }));
    await vi.waitFor(() => expect(keys(NOON_FILE).length).toBeGreaterThan(0));
    await log.close();
    expect(keys(NOON_FILE)).toHaveLength(1000);
    expect(counters.access_log_dropped).toBe(0);
  });
});

describe('a disk that fails', () => {
  it('costs the lines, counted, and is told once; lines go on when it is back', async () => {
    writeFileSync(dir, 'a file where the folder should be');
    const log = create();
    log.record(entry('a'));
    log.record(entry('b'));
    await log.flush();
    expect(counters.access_log_dropped).toBe(2);
    log.record(entry('c'));
    await log.flush();
    expect(counters.access_log_dropped).toBe(3);
    expect(problems).toEqual([expect.stringContaining("access log can't be written")]);
    rmSync(dir);
    log.record(entry('d'));
    await log.close();
    expect(keys(NOON_FILE)).toEqual(['d']);
    expect(problems.at(-1)).toBeUndefined();
    expect(problems).toHaveLength(2);
  });

  it('costs lines beyond a bound while it hangs, and does not hold up the stop', async () => {
    const fifo = join(dir, NOON_FILE);
    mkdirSync(dirname(fifo), { recursive: true });
    execFileSync('mkfifo', [fifo]);
    // A reader that takes one byte and no more: the pipe fills, and the write hangs.
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const log = create();
    const large = { target: `/${'x'.repeat(1024 * 1024)}` };
    for (let i = 0; i < 100; i++) log.record(entry(`k${i}`, large));
    expect(counters.access_log_dropped).toBeGreaterThan(50);
    expect(counters.access_log_dropped).toBeLessThan(75);
    await vi.waitFor(() => expect(readSync(reader, Buffer.alloc(1))).toBe(1));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const closing = log.close();
      await vi.advanceTimersByTimeAsync(5_000);
      await closing;
    } finally {
      vi.useRealTimers();
    }
    expect(counters.access_log_dropped).toBe(100);
    // The write fails now; its lines are not counted a second time.
    closeSync(reader);
    await log.flush();
    expect(counters.access_log_dropped).toBe(100);
  });

  it('drops what comes after the stop, and counts it', async () => {
    const log = create();
    await log.close();
    log.record(entry('late'));
    expect(counters.access_log_dropped).toBe(1);
  });
});

describe('retention of access logs', () => {
  const put = (file: string): void => {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), 'x\n');
  };

  it('removes files and folders of days that are over, of any host, and nothing else', async () => {
    put('2026/10/22/2026-10-22-10-00-00-host-a'); // 31 days ago
    put('2026/10/22/2026-10-22-10-00-00-host-b');
    put('2026/10/23/2026-10-23-00-00-00-host-a'); // 30 days ago
    put('2026/09/01/notes.txt');
    put('2025/01/01/2025-01-01-00-00-00-host-a');
    put('other/2025-01-01-00-00-00-host-a');
    const log = create();
    await log.close();
    expect(existsSync(join(dir, '2026/10/22'))).toBe(false);
    expect(existsSync(join(dir, '2025'))).toBe(false);
    expect(existsSync(join(dir, '2026/10/23/2026-10-23-00-00-00-host-a'))).toBe(true);
    expect(existsSync(join(dir, '2026/09/01/notes.txt'))).toBe(true);
    expect(existsSync(join(dir, 'other/2025-01-01-00-00-00-host-a'))).toBe(true);
  });

  it('is looked at again with each new day', async () => {
    const log = create({ retentionDays: 1 });
    log.record(entry('a'));
    await log.flush();
    for (let day = 0; day < 3; day++) {
      now += DAY;
      await log.flush();
    }
    await log.close();
    expect(existsSync(join(dir, '2026'))).toBe(false);
  });
});
