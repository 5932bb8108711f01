import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { BOB, CAROL, generatedBody } from '../origin/index.ts';
import { type Answer, type Ask, bytesOf, collect, eventually, MIB, type Place, startPlace } from '../read/helpers.ts';

const SIZE = 32 * MIB;
const BODY = generatedBody(SIZE, 5).read(0, SIZE);

async function placeWith(cache: { ram_cache_enabled?: boolean; max_cache_size?: number } = {}): Promise<Place> {
  const place = await startPlace({ cache: { ram_cache_enabled: false, ...cache } });
  place.origin.put('data', 'k', BODY);
  return place;
}

function expectWhole(answer: Answer, start: Buffer = Buffer.alloc(0)): void {
  expect(answer.complete).toBe(true);
  expect(Buffer.concat([start, answer.body]).equals(BODY)).toBe(true);
}

/** Nothing is held any more: no request, no flight, no buffer. */
async function expectNothingHeld({ core, origin }: Place): Promise<void> {
  await eventually(() => core.status().counters.active_requests === 0);
  await eventually(() => origin.requests.every(record => record.state !== 'running'));
}

describe('a client that goes away', () => {
  it.each([
    ['before S3 answers', 0],
    ['in the middle of a body', 9 * MIB],
  ])('%s ends its transfer, and leaves what came to those who come after', async (_, bytes) => {
    const place = await placeWith({ ram_cache_enabled: true });
    const { origin, client, get, count } = place;
    if (bytes === 0) {
      const slow = origin.faults.on({ key: 'k', times: 1 }, { before: 200 });
      const sent = client.start();
      sent.on('error', () => {});
      await slow.struck;
      sent.destroy();
    } else {
      const response = await client.begin();
      await bytesOf(response, bytes);
      response.destroy();
    }
    await expectNothingHeld(place);
    expect(origin.bytesServed('k')).toBeLessThan(bytes + 24 * MIB);
    const again = await count(async () => expectWhole(await get()));
    expect(again.bytes).toBeLessThanOrEqual(SIZE - Math.floor(bytes / (8 * MIB)) * 8 * MIB);
  });

  it('a hundred times over leaves nothing behind', async () => {
    const place = await placeWith();
    const { origin, client, get } = place;
    origin.faults.on({ key: 'k' }, { throttle: 200 * MIB });
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const response = await client.begin({ range: `bytes=${i * 1000}-` });
        await bytesOf(response, i * 10_000);
        response.destroy();
      }),
    );
    origin.faults.clear();
    await expectNothingHeld(place);
    expectWhole(await get());
  });
});

describe('a slow client', () => {
  it('holds nobody else up, whoever came first, and gets its bytes', async () => {
    const place = await placeWith();
    const { origin, client } = place;
    origin.faults.on({ key: 'k' }, { throttle: 80 * MIB });
    const slow = await client.begin();
    const trickle = readSlowly(slow, 100_000);
    const quick = [{}, { who: BOB }, { who: CAROL, range: 'bytes=0-' }].map(ask => client.send(ask));
    for (const answer of await Promise.all(quick)) expectWhole(answer);
    const start = trickle.stop();
    // At its pace the others would have waited for five minutes.
    expect(start.length).toBeLessThan(SIZE / 4);
    expectWhole(await collect(slow), start);
    await expectNothingHeld(place);
  });

  it('of what is cached holds nobody up either', async () => {
    const { client, get } = await placeWith();
    await get();
    const slow = await Promise.all(Array.from({ length: 8 }, () => client.begin()));
    const trickles = slow.map(response => readSlowly(response, 100_000));
    for (let i = 0; i < 3; i++) expectWhole(await get());
    for (const [i, trickle] of trickles.entries()) {
      const start = trickle.stop();
      expectWhole(await collect(slow[i]!), start);
    }
  });
});

describe('a signature that ends while its client still reads', () => {
  const HEADER_LIFE = 15 * 60_000;
  /** Both kinds end at the beginning of the second after next. */
  const inHeaders = (): Ask => ({ at: Date.now() - HEADER_LIFE + 2000 });
  const presigned = (): Ask => ({ expires: 60, at: Date.now() - 60_000 + 2000 });
  const endOf = ({ at = 0, expires }: Ask) => at + (expires === undefined ? HEADER_LIFE : expires * 1000);

  async function readAcross(place: Place, ask: Ask, during: () => unknown = () => {}): Promise<void> {
    const response = await place.client.begin(ask);
    const start = await bytesOf(response, MIB);
    await eventually(() => Date.now() > endOf(ask));
    await during();
    expectWhole(await collect(response), start);
  }

  it('cuts nobody whom S3 would not cut: nothing cached', async () => {
    const [one, other] = [await placeWith(), await placeWith()];
    await Promise.all([readAcross(one, inHeaders()), readAcross(other, presigned())]);
  });

  it('cuts nobody whom S3 would not cut: cached in parts', async () => {
    const places = [await placeWith(), await placeWith()] as const;
    for (const { get } of places) {
      for (const [from, to] of [
        [0, 9],
        [14, 16],
        [22, 30],
      ] as const) {
        await get({ range: `bytes=${from * MIB}-${to * MIB - 1}` });
      }
    }
    await Promise.all([readAcross(places[0], inHeaders()), readAcross(places[1], presigned())]);
  });

  it('cuts nobody whom S3 would not cut: another is faster, and nothing can be kept', async () => {
    const place = await placeWith({ max_cache_size: MIB });
    await readAcross(place, inHeaders(), async () => expectWhole(await place.get({ who: BOB })));
  });

  it('is not needed to go on after a cut, where another reader has one that holds', async () => {
    // In memory, so that nothing the other has read is missing to the first, however busy the disk is.
    const memory = { ram_cache_enabled: true };
    const places = [await placeWith(memory), await placeWith(memory)] as const;
    // Farther than the first reader gets while its client waits.
    const BREAK = 24 * MIB;
    const readBeside = async (place: Place, mine: Ask) => {
      const { origin, client } = place;
      const broken = origin.faults.on({ key: 'k', times: 1 }, { stallAfter: BREAK, cutAfter: BREAK });
      let other: Promise<void> | undefined;
      await readAcross(place, mine, async () => {
        const response = await client.begin({ who: BOB });
        // Has all there is, and waits for more.
        const start = await bytesOf(response, BREAK);
        broken.release();
        other = collect(response).then(rest => expectWhole(rest, start));
      });
      await other;
    };
    await Promise.all([readBeside(places[0], inHeaders()), readBeside(places[1], presigned())]);
  });

  it('is over for a new request', async () => {
    const { get } = await placeWith();
    await get();
    for (const old of [{ expires: 60, at: Date.now() - 61_000 }, { at: Date.now() - HEADER_LIFE - 1000 }])
      expect((await get(old)).status).toBe(403);
  });
});

/** Takes `rate` bytes a second; `stop` says what has come by then. */
function readSlowly(response: IncomingMessage, rate: number): { stop(): Buffer } {
  const pieces: Buffer[] = [];
  let waiting: NodeJS.Timeout | undefined;
  const take = (piece: Buffer) => {
    pieces.push(piece);
    response.pause();
    waiting = setTimeout(() => response.resume(), (piece.length / rate) * 1000);
  };
  response.on('error', () => {}).on('data', take);
  return {
    stop() {
      clearTimeout(waiting);
      response.off('data', take).pause();
      return Buffer.concat(pieces);
    },
  };
}
