import { execFileSync } from 'node:child_process';
import files, { mkdir, rename, rm } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { BucketSettings } from '../../proxy-core/settings/index.ts';
import { clock, folder, GLOBAL, global, later, make, write } from './helpers.ts';

describe('a file that cannot be used', () => {
  test('an invalid file leaves the last good one in force and is shown, until it is right again', async () => {
    await write('data', { get_ttl: '1h' });
    const settings = make();
    await settings.prepare('data');
    await write('data', '{ "get_ttl": ');
    await later(settings, 'data');
    expect(settings.resolve('data', 'a').get_ttl).toBe(3_600_000);
    expect(settings.problems()).toEqual([
      {
        bucket: 'data',
        file: join(folder, 'buckets', 'data', '_settings.json'),
        message: expect.stringContaining('the last good settings stay in force'),
      },
    ]);
    await write('data', { get_ttl: '2h' });
    await later(settings, 'data');
    expect(settings.resolve('data', 'a').get_ttl).toBe(7_200_000);
    expect(settings.problems()).toEqual([]);
  });

  test.each([
    [{ get_tll: '1h' }, 'get_tll: unknown key; did you mean get_ttl?'],
    [{ get_ttl: 'soon' }, 'get_ttl: "soon" is not allowed; allowed: a duration'],
    [{ read_cache_enabled: 'no' }, 'read_cache_enabled: "no" is not allowed; allowed: true or false'],
    [{ prefix_overrides: {} }, 'prefix_overrides: {} is not allowed; allowed: a list'],
    [{ prefix_overrides: [{ get_ttl: 1 }] }, 'prefix_overrides[0]: needs a prefix'],
    [{ prefix_overrides: [{ prefix: 'a', get_ttl: -1 }] }, 'prefix_overrides[0].get_ttl: -1 is not allowed'],
    [{ prefix_overrides: [{ prefix: '/a' }, { prefix: 'a' }] }, 'prefix_overrides[1].prefix: "a" is there twice'],
    [{ write_cache_enabled: 1 }, 'write_cache_enabled: 1 is not allowed'],
    [{ write_cache_max_object_size: '1 lot' }, 'write_cache_max_object_size: "1 lot" is not allowed'],
    [[], 'the file must hold a JSON object'],
    ['', 'JSON'],
  ])('%j is refused, and without an earlier good file the bucket is not cached', async (content, message) => {
    await write('data', content);
    const settings = make();
    await settings.prepare('data');
    expect(settings.problems()).toEqual([expect.objectContaining({ message: expect.stringContaining(message) })]);
    expect(settings.resolve('data', 'a')).toMatchObject({
      get_ttl: 0,
      head_ttl: 0,
      put_ttl: Number.POSITIVE_INFINITY,
      read_cache_enabled: false,
      write_cache_enabled: false,
    });
  });

  test('a look at the disk that takes long holds up the first request only', async () => {
    await write('data', { get_ttl: '1h' });
    const settings = make();
    const first = settings.prepare('data');
    expect(first).toBeInstanceOf(Promise);
    expect(settings.prepare('data')).toBe(first);
    clock.time += 1_500;
    expect(settings.prepare('data')).toBeUndefined();
    await first;
    expect(settings.resolve('data', 'a').get_ttl).toBe(3_600_000);
  });

  test('a disk that hangs holds nobody up for longer than a second, also who asked for the look, and is a problem', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    await write('known', { get_ttl: '1h' });
    await write('new', { get_ttl: '2h' });
    const settings = make();
    await settings.prepare('known');
    const disk = hangDisk();
    clock.time += 11_000;
    const answers = ['known', 'new', 'third'].map(bucket => {
      clock.time += 10;
      return settings.prepare(bucket);
    });
    for (const answer of answers) expect(answer).toBeInstanceOf(Promise);
    expect(settings.problems()).toEqual([]);
    vi.advanceTimersByTime(1_000);
    await Promise.all(answers);
    expect(settings.resolve('known', 'a').get_ttl).toBe(3_600_000);
    expect(settings.resolve('new', 'a')).toMatchObject({ get_ttl: 0, read_cache_enabled: false });
    expect(settings.problems()).toEqual([
      {
        bucket: 'known',
        file: join(folder, 'buckets', 'known', '_settings.json'),
        message: expect.stringMatching(/cache volume does not answer.*2 other buckets.*last good settings/),
      },
    ]);
    clock.time += 60_000;
    expect(settings.prepare('new')).toBeUndefined();
    disk.release();
    await vi.waitFor(() => expect(settings.resolve('new', 'a').get_ttl).toBe(7_200_000));
    await vi.waitFor(() => expect(settings.problems()).toEqual([]));
  });

  test('a file that is not there says nothing while the cache folder is not there either', async () => {
    await write('data', { get_ttl: '0s' });
    let isThere = true;
    const settings = new BucketSettings(global(), { now: () => clock.time, isThere: async () => isThere });
    await settings.prepare('data');
    await rename(join(folder, 'buckets'), join(folder, 'unmounted'));
    isThere = false;
    await later(settings, 'data');
    await settings.prepare('other');
    expect(settings.resolve('data', 'a')).toMatchObject({ get_ttl: 0, read_cache_enabled: true });
    expect(settings.resolve('other', 'a')).toMatchObject({ get_ttl: 0, read_cache_enabled: false });
    expect(settings.problems()).toEqual([]);
    await rename(join(folder, 'unmounted'), join(folder, 'buckets'));
    isThere = true;
    await later(settings, 'data');
    await later(settings, 'other');
    expect(settings.resolve('data', 'a').get_ttl).toBe(0);
    expect(settings.resolve('other', 'a')).toEqual(GLOBAL);
    await rm(join(folder, 'buckets'), { recursive: true });
    await later(settings, 'data');
    expect(settings.resolve('data', 'a')).toEqual(GLOBAL);
  });

  test('before its file is known a bucket is not cached', () => {
    expect(make().resolve('data', 'a')).toMatchObject({ get_ttl: 0, read_cache_enabled: false });
  });

  test.skipIf(process.platform === 'win32')(
    'a FIFO or a folder in the place of the file is a problem, not a hang',
    async () => {
      const at = join(folder, 'buckets', 'data');
      await mkdir(at, { recursive: true });
      execFileSync('mkfifo', [join(at, '_settings.json')]);
      await mkdir(join(folder, 'buckets', 'other', '_settings.json'), { recursive: true });
      const settings = make();
      await Promise.all([settings.prepare('data'), settings.prepare('other')]);
      expect(settings.problems().map(({ message }) => message)).toEqual([
        expect.stringContaining('is not a regular file'),
        expect.stringContaining('is not a regular file'),
      ]);
      await rm(join(at, '_settings.json'));
      await write('data', { get_ttl: '1h' });
      await later(settings, 'data');
      expect(settings.resolve('data', 'a').get_ttl).toBe(3_600_000);
    },
  );
});

/** Opening a file waits until the disk is released, as on a volume whose server is gone. */
function hangDisk(): { release(): void } {
  const real = files.open;
  let release = () => {};
  const released = new Promise<void>(resolve => {
    release = resolve;
  });
  files.open = async (...args) => {
    await released;
    return real(...args);
  };
  syncBuiltinESMExports();
  onTestFinished(() => {
    release();
    files.open = real;
    syncBuiltinESMExports();
  });
  return { release };
}
