import { expect, it } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { eventually } from '../read/helpers.ts';
import { describeWith } from '../tools/index.ts';
import type { Rule } from './mount.ts';
import { type FaultyPlace, MIB, PATIENCE, SECOND, startFaultyPlace } from './place.ts';

/** What the origin takes in, bytes a second: so few that what the disk does would show, and the machine's own speed does not. */
const ORIGIN = 50e6;
const SIZE = 48 * MIB;
const BODY = generatedBody(SIZE, 5).read(0, SIZE);
const SMALL = BODY.subarray(0, 20_000);
/** cache.disk_timeout of these places, ms. */
const DEADLINE = 500;

const FAULTS: readonly [string, readonly Rule[]][] = [
  ['takes 200 ms for each operation', [{ delay: 0.2 }]],
  ['takes in 5 MB/s', [{ ops: ['write'], rate: 5e6 }]],
  ['is full', [{ ops: ['write', 'create', 'mkdir', 'link', 'rename'], error: 'ENOSPC' }]],
  ['fills up in the middle of an upload', [{ ops: ['write'], after: 5 * MIB, error: 'ENOSPC' }]],
  ['fails in the middle of an upload', [{ ops: ['write'], after: 20 * MIB, error: 'EIO' }]],
  ['can not publish what was written', [{ ops: ['link', 'rename'], error: 'EIO' }]],
  ['does not answer', [{ hang: true }]],
  ['stops answering in the middle of an upload', [{ ops: ['write'], after: 20 * MIB, hang: true }]],
];

describeWith('fuse', 'a cache volume that', () => {
  it.each(FAULTS)(
    '%s costs the copy of an upload, not the upload',
    async (_, rules) => {
      const place = await startFaultyPlace();
      const { origin, volume, client, direct } = place;
      await upload(place, 'before', SMALL);
      expect(await taken(place, 'before')).toBeLessThanOrEqual(1);
      origin.faults.on({ method: 'PUT' }, { readRate: ORIGIN });
      const straight = await upload(place, 'straight', BODY, direct);
      await volume.set(...rules);
      const took = await upload(place, 'during', BODY, client);
      // Waiting for the disk is bounded (250 ms and a tenth), so is the end of an upload (the deadline of copy and of epoch).
      expect(took).toBeLessThan(1.3 * straight + 250 + 3 * DEADLINE);
      await upload(place, 'small', SMALL);
      await place.read({ key: 'during' }, BODY);
      await place.read({ key: 'small' }, SMALL);
      await volume.set();
      origin.faults.clear();
      await eventually(async () => {
        await upload(place, 'after', BODY);
        return (await taken(place, 'after')) <= 1;
      }, 30 * SECOND);
      await place.read({ key: 'after' }, BODY);
      for (const key of ['during', 'small']) await place.read({ key }, key === 'small' ? SMALL : BODY);
      await eventually(async () => (await place.leakedFiles()).length === 0, 10 * SECOND);
    },
    2 * PATIENCE,
  );
});

/** ms until S3's answer was in; what S3 has is held against what was sent. */
async function upload({ origin, client }: FaultyPlace, key: string, body: Buffer, through = client): Promise<number> {
  const began = performance.now();
  const answer = await through.send({ method: 'PUT', key, body, headers: ['Content-Type', 'text/plain'] });
  const took = performance.now() - began;
  expect(answer.status).toBe(200);
  expect(origin.object('data', key)!.body.read(0, body.length).equals(body)).toBe(true);
  return took;
}

/** Bytes of bodies that a read takes from S3. */
async function taken({ origin, client }: FaultyPlace, key: string): Promise<number> {
  const before = origin.bytesServed(key);
  await client.send({ key });
  return origin.bytesServed(key) - before;
}
