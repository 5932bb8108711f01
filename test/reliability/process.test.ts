import { mkdtemp, readdir, rm } from 'node:fs/promises';
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
