import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Capacity } from '../../proxy-core/store/disk/capacity.ts';
import { generatedBody } from '../origin/index.ts';
import { type Answer, type Ask, bytesOf, collect, eventually, hash, MIB, type Place, startPlace } from './helpers.ts';

const HOUR = 3_600_000;
const SIZE = 20 * MIB;
const body = generatedBody(SIZE);
const DIGEST = hash(body.read(0, SIZE));

async function placeWith(ttl = HOUR): Promise<Place> {
  const place = await startPlace({ cache: { get_ttl: ttl, head_ttl: ttl } });
  place.origin.put('data', 'k', body);
  return place;
}

function expectWhole(answers: readonly Answer[]): void {
  for (const answer of answers) {
    expect(answer).toMatchObject({ status: 200, complete: true });
    expect(hash(answer.body)).toBe(DIGEST);
  }
}

/** What the origin sends at once, bytes. */
const PIECE = 256 << 10;

describe('50 GETs of a cold object', () => {
  it.each([
    [0, 50],
    [HOUR, 1],
  ])('at ttl %i cost one body and %i requests', async (ttl, requests) => {
    const { get, origin, count } = await placeWith(ttl);
    origin.put('data', 'k', generatedBody(3 * MIB));
    const seen = await count(async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => get()));
      for (const answer of answers) {
        expect(answer.complete).toBe(true);
        expect(answer.body.equals(body.read(0, 3 * MIB))).toBe(true);
      }
    });
    expect(seen).toEqual({ bodies: 1, requests, bytes: 3 * MIB });
  });

  it('of a small one cost one body, too', async () => {
    for (const ttl of [0, HOUR]) {
      const { get, origin, count } = await placeWith(ttl);
      origin.put('data', 'small', 'small');
      const seen = await count(async () => {
        const answers = await Promise.all(Array.from({ length: 50 }, () => get({ key: 'small' })));
        expect(answers.every(answer => answer.body.toString() === 'small')).toBe(true);
      }, 'small');
      expect(seen.bodies).toBe(1);
    }
  });

  it.each<[string, Ask, number]>([
    ['whole', {}, 3 * MIB],
    ['in a range', { range: 'bytes=100-2000000' }, 1_999_901],
  ])('that was cached, and has been overwritten in S3, %s, cost little more than one body', async (_, ask, bytes) => {
    const { get, origin, count } = await placeWith(0);
    origin.put('data', 'k', generatedBody(3 * MIB, 7));
    await get();
    const renewed = generatedBody(3 * MIB, 8);
    origin.put('data', 'k', renewed);
    const wanted = renewed.read(0, 3 * MIB).subarray(ask.range ? 100 : 0, ask.range ? 2_000_001 : 3 * MIB);
    const answers: Answer[] = [];
    const seen = await count(async () => {
      const throttle = origin.faults.on({ key: 'k' }, { throttle: 10 * MIB });
      answers.push(...(await Promise.all(Array.from({ length: 50 }, () => get(ask)))));
      throttle.release();
    });
    for (const answer of answers) {
      expect([answer.status, answer.complete]).toEqual([ask.range ? 206 : 200, true]);
      expect(answer.body.equals(wanted)).toBe(true);
    }
    expect(seen.requests).toBe(50);
    // Of the others S3 has sent what was on its way before their connections were closed: no more than a piece of each.
    expect(seen.bytes).toBeLessThanOrEqual(bytes + 49 * PIECE);
  });

  it('get bytes before the end is there', async () => {
    const { client, origin, count } = await placeWith();
    const stall = origin.faults.on({ key: 'k', times: 1 }, { stallAfter: 3 * MIB });
    const seen = await count(async () => {
      const first = client.begin();
      await stall.struck;
      const responses = await Promise.all([first, ...Array.from({ length: 10 }, () => client.begin())]);
      const starts = await Promise.all(responses.map(response => bytesOf(response, 2 * MIB)));
      for (const start of starts) expect(start.equals(body.read(0, start.length))).toBe(true);
      stall.release();
      const rests = await Promise.all(responses.map(response => collect(response)));
      rests.forEach((rest, i) => {
        expect(hash(Buffer.concat([starts[i]!, rest.body]))).toBe(DIGEST);
      });
    });
    expect(seen.bodies).toBe(1);
  });
});

describe('a reader that joins', () => {
  it('at any time and place of a running transfer shares it', async () => {
    const { client, get, origin, count } = await placeWith();
    const stall = origin.faults.on({ key: 'k', times: 1 }, { stallAfter: 15 * MIB });
    const seen = await count(async () => {
      const first = client.begin().then(collect);
      await stall.struck;
      const asks = [0, 1, 7 * MIB, 8 * MIB, 12 * MIB, 15 * MIB - 1, 19 * MIB].map(start => ({ start }));
      const joined = asks.map(async ({ start }) => {
        const answer = await get({ range: `bytes=${start}-` });
        expect(answer.complete).toBe(true);
        expect(answer.body.equals(body.read(start, SIZE))).toBe(true);
      });
      await Promise.all([
        get({ range: `bytes=0-${8 * MIB - 1}` }),
        get({ range: `bytes=${14 * MIB}-${15 * MIB - 1}` }),
      ]);
      stall.release();
      await Promise.all(joined);
      expectWhole([await first]);
    });
    expect(seen.bodies).toBe(1);
  });

  it('after the first has left takes the transfer over', async () => {
    const { client, get, origin, count } = await placeWith();
    const stall = origin.faults.on({ key: 'k', times: 1 }, { stallAfter: 5 * MIB });
    const seen = await count(async () => {
      const leader = await client.begin();
      await stall.struck;
      leader.destroy();
      await collect(leader);
      const follower = get();
      stall.release();
      expectWhole([await follower]);
    });
    expect(seen.bodies).toBeLessThanOrEqual(2);
    expect(seen.bytes).toBeLessThanOrEqual(SIZE + 8 * MIB);
  });

  it('is not held up by a slow one, nor kept from the end', async () => {
    const { client, get, count } = await placeWith();
    const seen = await count(async () => {
      const slow = await client.begin();
      await bytesOf(slow, 100);
      expectWhole([await get(), await get()]);
      const rest = await collect(slow);
      expect(rest.complete).toBe(true);
    });
    expect(seen.bodies).toBe(1);
  });

  it('that has fallen behind does not wait for the disk for longer than it would for S3', async () => {
    const { client, get } = await placeWith();
    const reserve = vi
      .spyOn(Capacity.prototype, 'reserve')
      .mockImplementation(() => new Promise(resolve => setTimeout(resolve, 15_000, false).unref()));
    onTestFinished(() => reserve.mockRestore());
    const slow = await client.begin();
    const began = await bytesOf(slow, 100);
    expectWhole([await get()]);
    const since = performance.now();
    const rest = await collect(slow);
    expect(rest.complete).toBe(true);
    expect(hash(Buffer.concat([began, rest.body]))).toBe(DIGEST);
    expect(performance.now() - since).toBeLessThan(5000);
  }, 30_000);
});

describe('a leader that leaves', () => {
  it('before the answer or in the middle of it leaves the others theirs', async () => {
    for (const fault of [{ beforeHeaders: 200 }, { stallAfter: 6 * MIB }]) {
      const { client, core, get, origin, count } = await placeWith();
      const set = origin.faults.on({ key: 'k', times: 1 }, fault);
      const seen = await count(async () => {
        const leader = client.start();
        leader.on('error', () => {});
        await set.struck;
        const others = Array.from({ length: 5 }, () => get());
        await eventually(() => core.status().counters.active_requests === 6);
        leader.destroy();
        set.release();
        expectWhole(await Promise.all(others));
      });
      expect(seen.bodies).toBe(1);
    }
  });

  it('alone, before S3 answers, leaves a proxy that goes on', async () => {
    const { client, get, origin } = await placeWith();
    const held = origin.faults.on({ key: 'k', times: 1 }, { beforeHeaders: 100 });
    const leader = client.start();
    leader.on('error', () => {});
    await held.struck;
    leader.destroy();
    expectWhole([await get()]);
  });
});

describe('a leader to whom S3 does not answer', () => {
  it('is told so, and the others lead', async () => {
    const { get, origin } = await placeWith();
    let open: () => void = () => undefined;
    const gate = new Promise<void>(resolve => {
      open = resolve;
    });
    const held = origin.faults.on({ key: 'k', times: 1 }, { beforeHeaders: gate, status: 500 });
    const leader = get();
    await held.struck;
    const others = [get(), get(), get()];
    open();
    expect((await leader).status).toBe(500);
    expectWhole(await Promise.all(others));
  });
});
