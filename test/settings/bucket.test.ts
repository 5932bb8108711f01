import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { clock, folder, GLOBAL, global, later, make, write } from './helpers.ts';

describe('while it runs', () => {
  test('a changed file is in force at the next look, without a request having waited for it', async () => {
    await write('data', { get_ttl: '1h' });
    const settings = make();
    await settings.prepare('data');
    await write('data', { get_ttl: '0s' });
    clock.time += 1_000;
    expect(settings.prepare('data')).toBeUndefined();
    expect(settings.resolve('data', 'a').get_ttl).toBe(3_600_000);
    clock.time += 1_500;
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
    clock.time += 3_600_000;
    await settings.prepare('data');
    expect(settings.resolve('data', 'a').get_ttl).toBe(0);
  });

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
