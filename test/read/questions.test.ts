import { describe, expect, it } from 'vitest';
import { ALICE, BOB, generatedBody, type Principal } from '../origin/index.ts';
import { type Ask, MIB, type Place, startPlace } from './helpers.ts';

const HOUR = 3_600_000;
const READERS = 50;
const CALLERS = 7;

const PRINCIPALS: readonly Principal[] = Array.from({ length: CALLERS }, (_, i) => ({
  name: `caller${i}`,
  accessKeyId: `AKIACALLER000000000${i}`,
  secretAccessKey: `secret-of-${i}`,
}));

/** ALICE fills the cache where it is to be filled; what the origin knows of an object is asked about by the others. */
async function placeWith(ttl: number, size = 3 * MIB): Promise<Place> {
  const place = await startPlace({
    cache: { get_ttl: ttl, head_ttl: ttl },
    origin: { principals: [...PRINCIPALS, ALICE, BOB] },
  });
  place.origin.put('data', 'k', generatedBody(size));
  return place;
}

/** What the origin saw of `READERS` reads at once by `CALLERS` callers, all of which were answered as expected. */
async function reads({ get, origin, count }: Place, ask: (reader: number) => Ask = () => ({})) {
  const before = origin.requestsFor('k').length;
  const object = origin.object('data', 'k')!;
  // All have come before the first is answered.
  origin.faults.on({ key: 'k' }, { beforeHeaders: 100 });
  const seen = await count(async () => {
    const answers = await Promise.all(
      Array.from({ length: READERS }, (_, i) => get({ who: PRINCIPALS[i % CALLERS]!, ...ask(i) })),
    );
    for (const { status, complete, header } of answers) {
      expect([status, complete, header('etag')]).toEqual([200, true, object.etag]);
    }
  });
  const conditional = origin.requestsFor('k').slice(before);
  const asked = conditional.filter(({ headers }) => headers['if-none-match'] !== undefined).length;
  return { bodies: seen.bodies, requests: seen.requests, asked };
}

describe(`${READERS} reads at once by ${CALLERS} callers`, () => {
  it('of a cold object cost one body, and one question for each of the other callers', async () => {
    const place = await placeWith(HOUR);
    expect(await reads(place)).toEqual({ bodies: 1, requests: CALLERS, asked: CALLERS - 1 });
  });

  it('of one that is kept, but that they were never let read, cost one question each', async () => {
    const place = await placeWith(HOUR);
    await place.get({ who: ALICE });
    expect(await reads(place)).toEqual({ bodies: 0, requests: CALLERS, asked: CALLERS });
  });

  it('of one whose ttl is over cost one question each', async () => {
    const place = await placeWith(500);
    await place.get({ who: ALICE });
    for (const who of PRINCIPALS) await place.get({ who, range: 'bytes=0-0' });
    const over = performance.now() + 550;
    while (performance.now() < over) await new Promise(resolve => setTimeout(resolve, 10));
    const { bodies, asked } = await reads(place);
    expect(bodies).toBe(0);
    // On a slow machine the ttl ends again before the last of them.
    expect(asked).toBeGreaterThanOrEqual(CALLERS);
    expect(asked).toBeLessThan(READERS);
  });

  it('of a version that was overwritten cost the body of the new one once', async () => {
    const place = await placeWith(HOUR);
    await place.get({ who: ALICE });
    place.origin.put('data', 'k', generatedBody(3 * MIB, 2));
    const { bodies, requests } = await reads(place);
    expect(bodies).toBeLessThanOrEqual(CALLERS);
    expect(requests).toBeLessThanOrEqual(2 * CALLERS);
  });

  it('at ttl 0 are asked about one by one', async () => {
    const place = await placeWith(0);
    expect((await reads(place)).requests).toBe(READERS);
    expect((await reads(place)).asked).toBe(READERS);
  });

  it('with no-cache are asked about one by one', async () => {
    const place = await placeWith(HOUR);
    await place.get({ who: ALICE });
    expect((await reads(place, () => ({ headers: ['Cache-Control', 'no-cache'] }))).asked).toBe(READERS);
  });

  it('by HEAD cost one request each, cold or not', async () => {
    const place = await placeWith(HOUR);
    expect((await reads(place, () => ({ method: 'HEAD' }))).requests).toBe(CALLERS);
    const other = await placeWith(HOUR);
    await other.get({ who: ALICE });
    expect((await reads(other, () => ({ method: 'HEAD' }))).requests).toBe(CALLERS);
  });

  it('by HEAD and GET: what S3 says to a HEAD lets nobody GET', async () => {
    const place = await placeWith(HOUR);
    await place.get({ who: ALICE });
    const held = hold(place, record => record.method === 'HEAD');
    const head = place.get({ who: PRINCIPALS[0]!, method: 'HEAD' });
    await held.struck;
    const get = await place.get({ who: PRINCIPALS[0]! });
    expect([get.status, get.header('x-cache')]).toEqual([200, 'REVALIDATED']);
    held.open();
    expect((await head).status).toBe(200);
  });
});

describe('reads that wait for what S3 says to another read of their caller', () => {
  it('ask by themselves when it refuses that one, and each hears S3’s own answer', async () => {
    const place = await placeWith(HOUR);
    await place.get({ who: ALICE });
    place.origin.principals.find(({ name }) => name === 'bob')!.deny = [{ resource: 'data/k' }];
    const answers = await Promise.all(Array.from({ length: 10 }, () => place.get({ who: BOB })));
    for (const answer of answers) expect(answer.status).toBe(403);
    const ids = answers.map(answer => answer.header('x-amz-request-id'));
    expect(new Set(ids).size).toBe(10);
  });

  it('ask by themselves when that one fails', async () => {
    const place = await placeWith(HOUR);
    await place.get({ who: ALICE });
    const failing = hold(place, record => record.headers['if-none-match'] !== undefined, { status: 503 });
    const first = place.get({ who: BOB });
    await failing.struck;
    const others = Array.from({ length: 5 }, () => place.get({ who: BOB }));
    failing.open();
    expect((await first).status).toBe(503);
    for (const answer of await Promise.all(others)) expect(answer.status).toBe(200);
  });

  it('hear of it when its client has left meanwhile', async () => {
    const place = await placeWith(HOUR);
    await place.get({ who: ALICE });
    const held = hold(place, record => record.headers['if-none-match'] !== undefined);
    const leaver = place.client.start({ who: BOB });
    leaver.on('error', () => {});
    await held.struck;
    const others = Array.from({ length: 5 }, () => place.get({ who: BOB }));
    leaver.destroy();
    held.open();
    for (const answer of await Promise.all(others)) expect(answer.status).toBe(200);
  });

  it('hear what it says after a write only if it was asked after the write', async () => {
    const place = await placeWith(HOUR);
    await place.get({ who: ALICE });
    const held = hold(place, record => record.headers['if-none-match'] !== undefined);
    const early = place.get({ who: BOB });
    await held.struck;
    const body = Buffer.from('written in between');
    expect((await place.get({ who: BOB, method: 'PUT', body })).status).toBe(200);
    const late = place.get({ who: BOB });
    expect((await late).body.toString()).toBe('written in between');
    held.open();
    expect((await early).status).toBe(200);
  });
});

/** Keeps the first such request from being answered until `open`. */
function hold(
  { origin }: Place,
  when: NonNullable<Parameters<Place['origin']['faults']['on']>[0]['when']>,
  fault: object = {},
): { struck: Promise<void>; open: () => void } {
  let open!: () => void;
  const gate = new Promise<void>(resolve => {
    open = resolve;
  });
  const { struck } = origin.faults.on({ key: 'k', times: 1, when }, { beforeHeaders: gate, ...fault });
  return { struck, open };
}
