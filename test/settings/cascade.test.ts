import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GLOBAL, latin1, make, write } from './helpers.ts';

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
