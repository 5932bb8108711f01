import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { objectAddress } from '../../proxy-core/request/index.ts';
import { objectHash } from '../../proxy-core/store/disk/paths.ts';
import { startCistern } from '../clients/cistern.ts';
import { generatedBody, startOrigin, type TestOrigin } from '../origin/index.ts';
import { Client, eventually, filesUnder, MIB } from '../read/helpers.ts';
import { metEachOther } from '../store/neighbours.ts';

const MINUTE = 60_000;
const SIZE = 3 * MIB;
const BODY = generatedBody(SIZE, 4).read(0, SIZE);
const PRELOAD = pathToFileURL(join(import.meta.dirname, 'skewed-clock.mjs')).href;

interface Skewed {
  readonly origin: TestOrigin;
  readonly cacheDir: string;
  /** Of a process whose clock is seven minutes ahead of the volume's and the clients', and one that is as far behind. */
  readonly ahead: Client;
  readonly behind: Client;
  /** How many requests the origin saw of a key while `act` ran. */
  asked(key: string, act: () => Promise<unknown>): Promise<number>;
}

async function startSkewed(ttl: string): Promise<Skewed> {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-skew-'));
  const origin = await startOrigin();
  const cacheDir = join(folder, 'cache');
  const clients: Client[] = [];
  onTestFinished(async () => {
    for (const client of clients) client.close();
    await origin.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const start = async (name: string, ahead: number) => {
    const own = join(folder, name);
    await mkdir(own);
    const settings = {
      cache: { cache_dir: cacheDir, min_free_space: '0%', get_ttl: ttl, authorization: 'shared' },
      connection_pool: { upstream_overrides: { [origin.address]: { scheme: 'http' } } },
    };
    const env = { NODE_OPTIONS: `--import=${PRELOAD}`, CLOCK_AHEAD: String(ahead) };
    const cistern = await startCistern(own, settings, { env });
    onTestFinished(async () => void (await cistern.stop()));
    const client = new Client(origin, Number(new URL(cistern.url).port));
    clients.push(client);
    return client;
  };
  const [ahead, behind] = [await start('ahead', 7 * MINUTE), await start('behind', -7 * MINUTE)];
  origin.put('data', 'meeting', Buffer.from('…'));
  await metEachOther(ahead, behind);
  await metEachOther(behind, ahead);
  return {
    origin,
    cacheDir,
    ahead,
    behind,
    async asked(key, act) {
      const before = origin.requestsFor(key).length;
      await act();
      return origin.requestsFor(key).length - before;
    },
  };
}

/** Reads through a process until it is from the cache, also for the other one: what is written to the disk behind an answer takes a moment. */
async function hits({ origin, cacheDir }: Skewed, client: Client, key: string): Promise<void> {
  const hash = objectHash(objectAddress(origin.address, 'data', key));
  await eventually(async () => {
    const isHit = (await client.send({ key })).header('x-cache') === 'HIT';
    const files = (await filesUnder(join(cacheDir, 'buckets'))).filter(path => path.includes(hash));
    return isHit && [/\.head$/, /\.0-\d+$/].every(kind => files.some(path => kind.test(path)));
  });
}

/** Each of them is first once, with an object of its own. */
function inTurn({ ahead, behind }: Skewed): readonly (readonly [string, Client, Client])[] {
  return [
    ['one', ahead, behind],
    ['two', behind, ahead],
  ];
}

describe('processes whose clocks are a quarter of an hour apart, on one folder', () => {
  it('serve what the other has cached, as fresh as it is', async () => {
    const place = await startSkewed('1m');
    const { origin, asked } = place;
    for (const [key, first, then] of inTurn(place)) {
      origin.put('data', key, BODY);
      await first.send({ key });
      await hits(place, first, key);
      expect(
        await asked(key, async () => {
          const answer = await then.send({ key });
          expect([answer.header('x-cache'), answer.body.equals(BODY)]).toEqual(['HIT', true]);
        }),
        key,
      ).toBe(0);
    }
  }, 60_000);

  it('ask S3 again when the ttl is over, for each other, too', async () => {
    const place = await startSkewed('3s');
    const { origin, asked } = place;
    for (const [key, first, then] of inTurn(place)) {
      origin.put('data', key, BODY);
      await first.send({ key });
      await hits(place, first, key);
      await eventually(async () => (await then.send({ key })).header('x-cache') === 'REVALIDATED', 10_000);
      // Who has just asked vouches for it to the other one, as soon as that looks at the volume.
      await eventually(async () => (await asked(key, () => first.send({ key }))) === 0, 2_500);
    }
  }, 60_000);

  it('see each other’s writes', async () => {
    const place = await startSkewed('1h');
    const { origin } = place;
    for (const [key, writer, reader] of inTurn(place)) {
      origin.put('data', key, BODY);
      await reader.send({ key });
      await hits(place, reader, key);
      const body = Buffer.from(`written anew: ${key}`);
      expect((await writer.send({ key, method: 'PUT', body })).status).toBe(200);
      expect((await reader.send({ key })).body.equals(body)).toBe(true);
      expect((await writer.send({ key, method: 'DELETE' })).status).toBe(204);
      expect((await reader.send({ key })).status).toBe(404);
    }
  }, 60_000);
});
