import { describe, expect, it } from 'vitest';
import { ALICE, BOB, CAROL, generatedBody } from '../origin/index.ts';
import { type Ask, bytesOf, MIB, type Place, startPlace } from './helpers.ts';

const HOUR = 3_600_000;
const SIZE = 12 * MIB;

/** Alice may read `data/k`, Bob may not. */
async function placeWith(ttl: number, authorization: 'caller' | 'shared' = 'caller', size = SIZE): Promise<Place> {
  const place = await startPlace({ cache: { get_ttl: ttl, head_ttl: ttl, authorization } });
  place.origin.put('data', 'k', generatedBody(size), { partSize: 8 * MIB });
  deny(place);
  return place;
}

function deny({ origin }: Place, name = 'bob'): void {
  origin.principals.find(principal => principal.name === name)!.deny = [{ resource: 'data/k' }];
}

const kinds: Ask[] = [
  {},
  { method: 'HEAD' },
  { range: 'bytes=0-9' },
  { range: 'bytes=-5' },
  { range: `bytes=${9 * MIB}-` },
  { headers: ['Range', 'bytes=5-100'] },
  { headers: ['x-amz-checksum-mode', 'ENABLED'] },
  { query: '?partNumber=1' },
  { query: '?partNumber=2', headers: ['x-amz-checksum-mode', 'ENABLED'] },
  { expires: 60 },
];
const withConditions = (etag: string): Ask[] => [
  { headers: ['If-Match', etag] },
  { headers: ['If-Match', etag, 'Range', 'bytes=0-9', 'x-amz-checksum-mode', 'ENABLED'] },
  { headers: ['If-None-Match', etag] },
  { headers: ['If-Match', '"other"'] },
  { headers: ['If-Modified-Since', new Date(Date.now() + 10_000).toUTCString()] },
];

describe.each([0, HOUR])('a principal whom S3 denies, at ttl %i', ttl => {
  it('gets 403 to every kind of read of what is cached for another, and not even its ETag', async () => {
    const place = await placeWith(ttl);
    const { get, origin } = place;
    const { etag } = origin.object('data', 'k')!;
    const all = [...kinds, ...withConditions(etag)];
    for (const ask of all) await get(ask);
    for (const who of [BOB, null]) {
      for (const ask of all) {
        const answer = await get({ ...ask, who });
        expect(answer.status, JSON.stringify(ask)).toBe(403);
        expect(answer.headers.join(), JSON.stringify(ask)).not.toContain(etag);
        expect(answer.body.length).toBeLessThan(1000);
      }
    }
    // And those who may are not kept from it by that.
    for (const ask of all) expect((await get(ask)).status, JSON.stringify(ask)).not.toBe(403);
  });

  it('gets none of the bytes of a transfer that is running for another', async () => {
    const { client, get, origin } = await placeWith(ttl);
    const stall = origin.faults.on({ key: 'k', times: 1 }, { stallAfter: 9 * MIB });
    const alice = await client.begin({ who: ALICE });
    await bytesOf(alice, MIB);
    alice.resume();
    await stall.struck;
    for (const ask of kinds) expect((await get({ ...ask, who: BOB })).status, JSON.stringify(ask)).toBe(403);
    stall.release();
    alice.destroy();
  });

  it('gets none of those that it waits for together with others from the start', async () => {
    const { get, origin } = await placeWith(ttl);
    let open: () => void = () => undefined;
    const gate = new Promise<void>(resolve => {
      open = resolve;
    });
    const held = origin.faults.on({ key: 'k', times: 1 }, { beforeHeaders: gate });
    const alice = get({ who: ALICE });
    await held.struck;
    const others = kinds.map(ask => get({ ...ask, who: BOB }));
    open();
    expect((await alice).body.length).toBe(SIZE);
    for (const answer of await Promise.all(others)) {
      expect(answer.status).toBe(403);
      expect(answer.body.length).toBeLessThan(1000);
    }
  });

  it('who leads others keeps nobody else from the object', async () => {
    const { get, origin, count } = await placeWith(ttl);
    let open: () => void = () => undefined;
    const gate = new Promise<void>(resolve => {
      open = resolve;
    });
    const held = origin.faults.on({ key: 'k', times: 1 }, { beforeHeaders: gate });
    const bob = get({ who: BOB });
    await held.struck;
    const others = [get({ who: ALICE }), get({ who: ALICE }), get({ who: CAROL })];
    const seen = await count(async () => {
      open();
      expect((await bob).status).toBe(403);
      for (const answer of await Promise.all(others)) expect([answer.status, answer.body.length]).toEqual([200, SIZE]);
    });
    expect(seen.bodies).toBe(1);
  });
});

describe('another caller who may read', () => {
  it('is asked about once, by a request that moves no body', async () => {
    const { get, count } = await placeWith(HOUR);
    await get();
    const first = await count(async () => expect((await get({ who: CAROL })).body.length).toBe(SIZE));
    expect(first).toMatchObject({ requests: 1, bodies: 0 });
    expect((await count(() => get({ who: CAROL }))).requests).toBe(0);
    expect((await count(() => get({ who: CAROL, method: 'HEAD' }))).requests).toBe(0);
  });

  it('is another one with another session token of the same key', async () => {
    const { get } = await placeWith(HOUR);
    expect((await get({ who: CAROL })).status).toBe(200);
    // S3 knows CAROL's first token alone: it is S3 who says so.
    expect((await get({ who: { ...CAROL, sessionToken: 'forged' } })).status).toBe(400);
  });

  it('who is no longer let read hears so at once at ttl 0, and within the ttl at any', async () => {
    for (const ttl of [0, 300]) {
      const place = await placeWith(ttl);
      const { get } = place;
      await get({ who: CAROL });
      deny(place, 'carol');
      const until = performance.now() + ttl + 20;
      while (ttl > 0 && performance.now() < until) {
        await get({ who: ALICE, range: 'bytes=0-0' });
        await new Promise(resolve => setTimeout(resolve, 40));
      }
      expect((await get({ who: CAROL })).status).toBe(403);
      expect((await get({ who: CAROL, method: 'HEAD' })).status).toBe(403);
    }
  });

  it('who was refused once is asked about again at each read', async () => {
    const place = await placeWith(HOUR);
    const { get, origin, count } = place;
    await get({ who: CAROL });
    deny(place, 'carol');
    // no-cache makes S3 be asked; its 403 ends what was allowed before.
    const ask = { who: CAROL, headers: ['Cache-Control', 'no-cache'] };
    expect((await get(ask)).status).toBe(403);
    expect((await get({ who: CAROL })).status).toBe(403);
    origin.principals.find(principal => principal.name === 'carol')!.deny = [];
    expect(await count(() => get({ who: CAROL }))).toMatchObject({ requests: 1, bodies: 0 });
  });
});

describe('cache.authorization: shared', () => {
  it('serves what is fresh to every caller, and asks S3 for each at ttl 0', async () => {
    const fresh = await placeWith(HOUR, 'shared');
    await fresh.get();
    const seen = await fresh.count(async () => {
      for (const who of [BOB, null]) expect((await fresh.get({ who })).body.length).toBe(SIZE);
    });
    expect(seen.requests).toBe(0);
    const checked = await placeWith(0, 'shared', 1000);
    await checked.get();
    expect((await checked.get({ who: BOB })).status).toBe(403);
  });
});
