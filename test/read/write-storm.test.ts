import { describe, expect, it } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { type Ask, type Client, eventually, MIB, startPlace } from './helpers.ts';

const HOUR = 3_600_000;
const KEYS = ['a', 'b'];
const SIZES = [10, 65_536, 200_000, 9 * MIB];

interface Write {
  readonly etag: string;
  readonly body: Buffer;
}

/** Keeps writing each key through one proxy, and after each answer reads it back while older reads are still running. */
describe.each([0, HOUR])('reads among writes through the proxy, at ttl %i', ttl => {
  it.each([1, 2, 3])(
    'that begin after a write was acknowledged give it or a later one (round %i)',
    async round => {
      const place = await startPlace({
        cache: { get_ttl: ttl, head_ttl: ttl, metadata_cache: { max_entries: round } },
      });
      const { client, origin } = place;
      const writes = new Map<string, Write[]>(KEYS.map(key => [key, []]));
      let reads = 0;

      const read = async (from: Client, key: string, ask: Ask) => {
        const known = writes.get(key)!;
        const acknowledged = known.length - 1;
        const answer = await from.send({ ...ask, key });
        reads++;
        const at = writes.get(key)!.findIndex(write => write.etag === answer.header('etag'));
        // A write that S3 has taken, but whose writer has not heard yet, may be seen already.
        if (at < 0) return;
        expect(at).toBeGreaterThanOrEqual(acknowledged);
        if (!answer.complete || answer.status !== 200 || ask.method === 'HEAD') return;
        expect(answer.body.equals(known[at]!.body)).toBe(true);
      };
      const writer = async (key: string, seed: number) => {
        for (let i = 0; i < 12; i++) {
          const size = SIZES[(i + round + seed) % SIZES.length]!;
          const body = generatedBody(size, seed * 100 + i).read(0, size);
          const answer = await client.send({ key, method: 'PUT', body });
          expect(answer.status).toBe(200);
          writes.get(key)!.push({ etag: answer.header('etag')!, body });
          await Promise.all([read(client, key, {}), read(client, key, { method: 'HEAD' })]);
        }
      };
      let over = false;
      const reader = async (ask: Ask) => {
        while (!over) for (const key of KEYS) await read(client, key, ask);
      };
      // Slow answers make reads outlive writes.
      origin.faults.on({ method: 'GET', when: () => reads % 5 === 0 }, { beforeHeaders: 30 });
      const readers = [
        reader({}),
        reader({}),
        reader({ range: 'bytes=0-9' }),
        reader({ headers: ['Range', 'bytes=5-'] }),
      ];
      await Promise.all(KEYS.map((key, i) => writer(key, i + 1)));
      over = true;
      await Promise.all(readers);
      expect(reads).toBeGreaterThan(100);
      for (const key of KEYS) await read(client, key, {});
      const other = await place.another();
      for (const key of KEYS) await read(other.client, key, {});
      await eventually(() => place.core.status().counters.active_requests === 0);
    },
    60_000,
  );
});
