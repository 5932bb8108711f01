import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { MIB, startPlace } from './helpers.ts';

const SIZE = 200 * 1024;
/** More in all than the buffers of a connection on loopback take. */
const ANSWERS = 120;

it('what waits for a slow client stays as it was, whatever the memory tier does meanwhile', async () => {
  const { origin, core, get, count } = await startPlace({
    cache: { max_ram_cache_size: 4 * MIB, eviction_algorithm: 'lru' },
    origin: { buckets: { data: { anonymous: 'read' } } },
  });
  const body = generatedBody(SIZE, 1);
  origin.put('data', 'k', body);
  await get({ who: null });
  expect((await count(() => get({ who: null }))).requests).toBe(0);

  const slow = connect(Number(core.addresses.proxy.split(':').at(-1)), '127.0.0.1');
  await once(slow, 'connect');
  slow.pause();
  slow.write(`GET http://${origin.address}/data/k HTTP/1.1\r\nHost: ${origin.address}\r\n\r\n`.repeat(ANSWERS));

  // Meanwhile the connection fills up, and each of these takes slots that others had to give up.
  for (let i = 0; i < 4; i++) {
    origin.put('data', `other${i}`, generatedBody(8 * MIB, 2 + i));
    for (let round = 0; round < 3; round++) await get({ key: `other${i}`, who: null });
  }
  const expected = body.read(0, SIZE);
  for (const answer of await answers(slow)) expect(answer.equals(expected)).toBe(true);
});

/** The bodies of {@link ANSWERS} answers. */
async function answers(socket: Socket): Promise<Buffer[]> {
  const bodies: Buffer[] = [];
  let rest = Buffer.alloc(0);
  socket.resume();
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0 || rest.length < end + 4 + SIZE) break;
      bodies.push(rest.subarray(end + 4, end + 4 + SIZE));
      rest = rest.subarray(end + 4 + SIZE);
    }
    if (bodies.length === ANSWERS) break;
  }
  socket.destroy();
  return bodies;
}
