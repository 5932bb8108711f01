import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startCistern } from '../clients/cistern.ts';
import { generatedBody, startOrigin } from '../origin/index.ts';
import { bytesOf, Client, collect, eventually, filesUnder, MIB } from '../read/helpers.ts';

const SIZE = 24 * MIB;
const BODY = generatedBody(SIZE, 9).read(0, SIZE);

describe('a process that is killed (kill -9) in the middle of a fill', () => {
  it('leaves its clients a cut, and the next process a cache in which what was whole is whole', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cistern-killed-'));
    const origin = await startOrigin();
    const clients: Client[] = [];
    onTestFinished(async () => {
      origin.faults.clear();
      for (const client of clients) client.close();
      await origin.stop();
      await rm(folder, { recursive: true, force: true });
    });
    const settings = {
      cache: { min_free_space: '0%', get_ttl: '1h' },
      connection_pool: { upstream_overrides: { [origin.address]: { scheme: 'http' } } },
    };
    const start = async () => {
      const cistern = await startCistern(folder, settings);
      const client = new Client(origin, Number(new URL(cistern.url).port));
      clients.push(client);
      return { cistern, client };
    };
    for (const key of ['whole', 'half']) origin.put('data', key, BODY);

    const first = await start();
    await eventually(async () => {
      const before = origin.bodiesServed('whole');
      expect((await first.client.send({ key: 'whole' })).body.equals(BODY)).toBe(true);
      return origin.bodiesServed('whole') === before;
    });
    origin.faults.on({ key: 'half', times: 1 }, { stallAfter: 20 * MIB, throttle: 40 * MIB });
    const cut = await first.client.begin({ key: 'half' });
    const came = await bytesOf(cut, 19 * MIB);
    const isSecond = (file: string) => file.endsWith(`/${8 * MIB}-${16 * MIB - 1}`);
    await eventually(async () => (await filesUnder(join(folder, 'cache', 'buckets'))).filter(isSecond).length === 2);
    const [instance] = await readdir(join(folder, 'cache', 'instances'));
    process.kill(Number(instance!.split('-')[0]), 'SIGKILL');
    const rest = await collect(cut);
    expect(rest.complete).toBe(false);
    const seen = Buffer.concat([came, rest.body]);
    expect(seen.equals(BODY.subarray(0, seen.length))).toBe(true);

    const second = await start();
    onTestFinished(async () => void (await second.cistern.stop()));
    origin.reset();
    for (const key of ['whole', 'half']) {
      const answer = await second.client.send({ key });
      expect([answer.status, answer.complete, answer.body.equals(BODY)]).toEqual([200, true, true]);
    }
    expect(origin.bodiesServed('whole')).toBe(0);
    // Two of its extents had got their place.
    expect(origin.bytesServed('half')).toBeLessThanOrEqual(SIZE - 16 * MIB);
  }, 60_000);
});

describe('a process that is killed (kill -9) after S3 has carried out a write and before its answer has come', () => {
  it.each(['caller', 'shared'])(
    'leaves nothing old to be served by another (authorization: %s)',
    async authorization => {
      const folder = await mkdtemp(join(tmpdir(), 'cistern-killed-'));
      const origin = await startOrigin();
      onTestFinished(async () => {
        origin.faults.clear();
        await origin.stop();
        await rm(folder, { recursive: true, force: true });
      });
      const settings = {
        cache: { min_free_space: '0%', get_ttl: '1h', head_ttl: '1h', cache_dir: join(folder, 'cache'), authorization },
        connection_pool: { upstream_overrides: { [origin.address]: { scheme: 'http' } } },
      };
      const start = async (name: string) => {
        await mkdir(join(folder, name));
        const cistern = await startCistern(join(folder, name), settings);
        onTestFinished(async () => void (await cistern.stop()));
        const client = new Client(origin, Number(new URL(cistern.url).port));
        onTestFinished(() => client.close());
        return { cistern, client };
      };
      const { cistern, client: writer } = await start('writer');
      const { client: reader } = await start('reader');
      const body = Buffer.from('as it was before');
      for (const key of ['k', 'other']) origin.put('data', key, body);
      // A write is heard of at once when the two have met.
      await eventually(async () => {
        await reader.send({ key: 'k' });
        await writer.send({ key: 'k', method: 'PUT', body });
        return (await reader.send({ key: 'k' })).header('x-cache') === 'REVALIDATED';
      });
      for (const key of ['k', 'other']) await reader.send({ key });
      for (const key of ['k', 'other']) expect((await reader.send({ key })).header('x-cache')).toBe('HIT');

      const written = origin.faults.on({ key: 'k', method: 'PUT' }, { beforeHeaders: new Promise(() => {}) });
      const cut = writer.send({ key: 'k', method: 'PUT', body: Buffer.from('as it is now') }).catch(() => undefined);
      await written.struck;
      expect((await reader.send({ key: 'k' })).body.toString()).toBe('as it was before');
      await cistern.stop('SIGKILL');
      await cut;
      await eventually(async () => (await reader.send({ key: 'k' })).body.toString() === 'as it is now', 2000);
      // Everything is asked about once.
      expect((await reader.send({ key: 'other' })).header('x-cache')).toBe('REVALIDATED');
      expect((await reader.send({ key: 'other' })).header('x-cache')).toBe('HIT');
    },
    60_000,
  );
});
