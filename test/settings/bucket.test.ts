import { execFileSync } from 'node:child_process';
import files, { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { BucketSettings, defaultSettings, type ObjectSettings } from '../../proxy-core/settings/index.ts';

let folder: string;
let time = 0;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cistern-bucket-'));
  time = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const global = (cache = {}) => defaultSettings({ cache: { cache_dir: folder, ...cache } });
const make = (cache = {}) => new BucketSettings(global(cache), { now: () => time });

async function write(bucket: string, content: unknown): Promise<void> {
  const at = join(folder, 'buckets', bucket);
  await mkdir(at, { recursive: true });
  await writeFile(join(at, 'new'), typeof content === 'string' ? content : JSON.stringify(content));
  await rename(join(at, 'new'), join(at, '_settings.json'));
}

/** Time goes on and the background look at the bucket's file is over. */
async function later(settings: BucketSettings, bucket: string, ms = 11_000): Promise<void> {
  time += ms;
  await settings.prepare(bucket);
}

const latin1 = (key: string) => Buffer.from(key, 'utf8').toString('latin1');

const GLOBAL: ObjectSettings = {
  get_ttl: 60_000,
  head_ttl: 60_000,
  put_ttl: 3_600_000,
  read_cache_enabled: true,
  write_cache_enabled: true,
  write_cache_max_object_size: 256 << 20,
  compression_enabled: true,
  compression_threshold: 1024,
  ram_cache_eligible: true,
  evaluate_conditions_from_cache: true,
};

describe('the cascade', () => {
  test('a bucket without a file has the global settings, as one frozen object', async () => {
    const settings = make();
    await settings.prepare('data');
    expect(settings.resolve('data', 'a')).toEqual(GLOBAL);
    expect(settings.resolve('data', 'a')).toBe(settings.resolve('data', 'b'));
    expect(Object.isFrozen(settings.resolve('data', 'a'))).toBe(true);
    expect(settings.problems()).toEqual([]);
  });

  test('prefix wins over bucket, bucket over global, field by field', async () => {
    await write('data', {
      get_ttl: '5m',
      compression_enabled: false,
      prefix_overrides: [
        { prefix: 'logs/', get_ttl: '0s' },
        { prefix: 'logs/old/', head_ttl: '1d', read_cache_enabled: false },
      ],
    });
    const settings = make();
    await settings.prepare('data');
    const bucket = { ...GLOBAL, get_ttl: 300_000, compression_enabled: false };
    expect(settings.resolve('data', 'other')).toEqual(bucket);
    expect(settings.resolve('data', 'logs')).toEqual(bucket);
    expect(settings.resolve('data', 'logs/a')).toEqual({ ...bucket, get_ttl: 0 });
    // The longest prefix wins alone: what it doesn't say comes from the bucket, not from the shorter prefix.
    expect(settings.resolve('data', 'logs/old/a')).toEqual({
      ...bucket,
      head_ttl: 86_400_000,
      read_cache_enabled: false,
    });
  });

  test.each([
    ['/static/', 'static/a.css'],
    ['static/', 'static/a.css'],
    ['static/', '/static/a.css'],
    ['größe/', 'größe/a'],
    ['/', 'anything'],
    ['', 'anything'],
    ['exact', 'exact'],
  ])('prefix %j matches key %j', async (prefix, key) => {
    await write('data', { prefix_overrides: [{ prefix, get_ttl: '1d' }] });
    const settings = make();
    await settings.prepare('data');
    expect(settings.resolve('data', latin1(key)).get_ttl).toBe(86_400_000);
  });

  test.each([
    ['static/', 'Static/a.css'],
    ['static/', 'static'],
    ['static/', 'a/static/b'],
    ['static/', '//static/a'],
  ])('prefix %j does not match key %j', async (prefix, key) => {
    await write('data', { prefix_overrides: [{ prefix, get_ttl: '1d' }] });
    const settings = make();
    await settings.prepare('data');
    expect(settings.resolve('data', latin1(key)).get_ttl).toBe(60_000);
  });

  test('a bucket can be allowed to cache where the rest is not', async () => {
    await write('data', { read_cache_enabled: true, prefix_overrides: [{ prefix: 'no/', read_cache_enabled: false }] });
    const settings = make({ read_cache_enabled: false });
    await Promise.all([settings.prepare('data'), settings.prepare('rest')]);
    expect(settings.resolve('data', 'a').read_cache_enabled).toBe(true);
    expect(settings.resolve('data', 'no/a').read_cache_enabled).toBe(false);
    expect(settings.resolve('rest', 'a').read_cache_enabled).toBe(false);
  });

  test('what is kept of uploads follows the same order', async () => {
    await write('data', {
      $schema: './bucket.json',
      put_ttl: '1d',
      prefix_overrides: [{ prefix: 'raw/', write_cache_enabled: false, write_cache_max_object_size: '1GiB' }],
    });
    const settings = make({ write_cache_max_object_size: 5 });
    await settings.prepare('data');
    expect(settings.resolve('data', 'a')).toMatchObject({
      put_ttl: 86_400_000,
      write_cache_enabled: true,
      write_cache_max_object_size: 5,
    });
    expect(settings.resolve('data', 'raw/a')).toMatchObject({
      put_ttl: 86_400_000,
      write_cache_enabled: false,
      write_cache_max_object_size: 2 ** 30,
    });
  });

  test('no bucket is eligible for a memory tier that is switched off', async () => {
    await write('data', { ram_cache_eligible: true });
    const settings = make({ ram_cache_enabled: false });
    await settings.prepare('data');
    expect(settings.resolve('data', 'a').ram_cache_eligible).toBe(false);
  });

  test('a bucket of another origin has a file of its own', async () => {
    await write('data@minio:9000', { get_ttl: '1h' });
    const settings = make();
    await Promise.all([settings.prepare('data@minio:9000'), settings.prepare('data')]);
    expect(settings.resolve('data@minio:9000', 'a').get_ttl).toBe(3_600_000);
    expect(settings.resolve('data', 'a').get_ttl).toBe(60_000);
  });

  test('for any prefixes and key, each field comes from the longest match, else the bucket, else global', async () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '/', 'ä'), maxLength: 5 });
    const seconds = fc.option(fc.nat(99), { nil: undefined });
    const on = fc.option(fc.boolean(), { nil: undefined });
    const fields = fc.record({ get_ttl: seconds, head_ttl: seconds, ram_cache_eligible: on, compression_enabled: on });
    const plain = (text: string) => text.replace(/^\//, '');
    const overrides = fc.uniqueArray(fc.tuple(letters, fields), {
      selector: ([prefix]) => plain(prefix),
      maxLength: 6,
    });
    let bucket = 0;
    await fc.assert(
      fc.asyncProperty(fields, overrides, fc.array(letters, { maxLength: 8 }), async (own, prefixes, keys) => {
        const name = `bucket-${bucket++}`;
        await write(name, { ...own, prefix_overrides: prefixes.map(([prefix, values]) => ({ prefix, ...values })) });
        const settings = make();
        await settings.prepare(name);
        for (const key of keys) {
          const matching = prefixes.filter(([prefix]) => plain(key).startsWith(plain(prefix)));
          const longest = matching.sort(([a], [b]) => plain(b).length - plain(a).length)[0]?.[1];
          const found = settings.resolve(name, latin1(key));
          for (const field of ['get_ttl', 'head_ttl'] as const) {
            const said = longest?.[field] ?? own[field];
            expect(found[field]).toBe(said === undefined ? 60_000 : said * 1_000);
          }
          for (const field of ['ram_cache_eligible', 'compression_enabled'] as const) {
            expect(found[field]).toBe(longest?.[field] ?? own[field] ?? true);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('while it runs', () => {
  test('a changed file is in force at the next look, without a request having waited for it', async () => {
    await write('data', { get_ttl: '1h' });
    const settings = make();
    await settings.prepare('data');
    await write('data', { get_ttl: '0s' });
    time += 1_000;
    expect(settings.prepare('data')).toBeUndefined();
    expect(settings.resolve('data', 'a').get_ttl).toBe(3_600_000);
    time += 1_500;
    expect(settings.prepare('data')).toBeUndefined();
    await expect.poll(() => settings.resolve('data', 'a').get_ttl).toBe(0);
  });

  test('a file that appears or goes is seen', async () => {
    const settings = make();
    await settings.prepare('data');
    await write('data', { get_ttl: '1h' });
    await later(settings, 'data');
    expect(settings.resolve('data', 'a').get_ttl).toBe(3_600_000);
    await rm(join(folder, 'buckets', 'data', '_settings.json'));
    await later(settings, 'data');
    expect(settings.resolve('data', 'a').get_ttl).toBe(60_000);
  });

  test('the first request to a bucket that nobody used for a while waits for the file', async () => {
    const settings = make();
    await settings.prepare('data');
    expect(settings.prepare('data')).toBeUndefined();
    await write('data', { get_ttl: '0s' });
    time += 3_600_000;
    await settings.prepare('data');
    expect(settings.resolve('data', 'a').get_ttl).toBe(0);
  });

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
    time += 1_500;
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
    time += 11_000;
    const answers = ['known', 'new', 'third'].map(bucket => {
      time += 10;
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
    time += 60_000;
    expect(settings.prepare('new')).toBeUndefined();
    disk.release();
    await vi.waitFor(() => expect(settings.resolve('new', 'a').get_ttl).toBe(7_200_000));
    await vi.waitFor(() => expect(settings.problems()).toEqual([]));
  });

  test('a file that is not there says nothing while the cache folder is not there either', async () => {
    await write('data', { get_ttl: '0s' });
    let isThere = true;
    const settings = new BucketSettings(global(), { now: () => time, isThere: async () => isThere });
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

  test('new global settings hold at once for every bucket', async () => {
    await write('data', { head_ttl: '1s' });
    const settings = make();
    await Promise.all([settings.prepare('data'), settings.prepare('rest')]);
    settings.update(global({ get_ttl: 5_000 }));
    expect(settings.resolve('data', 'a')).toMatchObject({ get_ttl: 5_000, head_ttl: 1_000 });
    expect(settings.resolve('rest', 'a')).toMatchObject({ get_ttl: 5_000, head_ttl: 60_000 });
  });

  test.each(['..', '.', '', '../../x', 'a/b', 'a\\b', 'a\0b'])(
    'a name such as %j, which is no folder, has the global settings and no file is looked for',
    async name => {
      await writeFile(join(folder, '_settings.json'), '{"get_ttl":"1h"}');
      const settings = make();
      expect(settings.prepare(name)).toBeUndefined();
      expect(settings.resolve(name, 'a')).toEqual(GLOBAL);
    },
  );

  test('many buckets that are used for the first time at once all get their file', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `bucket-${index}`);
    await Promise.all(names.map((name, index) => write(name, { get_ttl: index })));
    const settings = make();
    await Promise.all(names.map(name => settings.prepare(name)));
    expect(names.map(name => settings.resolve(name, 'a').get_ttl)).toEqual(names.map((_, index) => index * 1_000));
  });
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
