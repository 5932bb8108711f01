import { describe, expect, it } from 'vitest';
import { type Fault, generatedBody, type Match, type Reply, type RequestRecord } from '../origin/index.ts';
import { type Answer, type Ask, bytesOf, collect, eventually, MIB, type Place, startPlace } from './helpers.ts';

const HOUR = 3_600_000;
const SIZE = 56 * MIB;
const FIRST = generatedBody(SIZE, 1);
const SECOND = generatedBody(SIZE, 2);
const first = FIRST.read(0, SIZE);
const second = SECOND.read(0, SIZE);
/** Bytes a second that one connection to the origin brings. */
const RATE = 30 * MIB;

interface Options {
  readonly connections?: number;
  readonly min_object_size?: number;
}

/** A cold object behind connections that are slow, each by itself. */
async function placeWith({ connections = 4, min_object_size = 16 * MIB }: Options = {}): Promise<Place> {
  const place = await startPlace({
    cache: { get_ttl: HOUR, head_ttl: HOUR, parallel_fill: { connections, min_object_size } },
  });
  place.origin.put('data', 'k', FIRST, { headers: ['x-amz-meta-who', 'me'] });
  return place;
}

/** Every request is slow, unless it is given something else to do. */
function throttled({ origin }: Place): Place['origin'] {
  origin.faults.on({ key: 'k' }, { throttle: RATE });
  return origin;
}

/** Requests of helpers: those that ask for a range of the object on behalf of a client that asked for all of it. */
const ofHelper = (record: RequestRecord) => record.key === 'k' && record.headers.range !== undefined;
const HELPERS: Match = { when: ofHelper };

function helpersOf({ origin }: Place): { start: number; end: number; record: RequestRecord }[] {
  return origin.requests.filter(ofHelper).map(record => {
    const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(record.headers.range!) ?? [];
    return { start: Number(start), end: Number(end), record };
  });
}

function expectWhole(answer: Answer, body = first): void {
  expect([answer.status, answer.complete, answer.body.length]).toEqual([200, true, body.length]);
  expect(answer.body.equals(body)).toBe(true);
}

describe('a cold read of a large object', () => {
  it('comes over several connections, each asking for its part of the same version, and is kept', async () => {
    const place = await placeWith();
    const origin = throttled(place);
    const answer = await place.get();
    expectWhole(answer);
    expect(answer.header('x-amz-meta-who')).toBe('me');
    const [own] = origin.requestsFor('k');
    expect([own?.headers.range, own?.headers['if-match']]).toEqual([undefined, undefined]);
    expect(answer.header('x-amz-request-id')).toBeDefined();
    const helpers = helpersOf(place);
    expect(helpers.length).toBeGreaterThanOrEqual(2);
    for (const { record, start, end } of helpers) {
      expect(record.headers['if-match']).toBe(origin.object('data', 'k')!.etag);
      expect(record.headers.authorization).toBe(own?.headers.authorization);
      expect([start % (8 * MIB), end <= SIZE - 1]).toEqual([0, true]);
    }
    const starts = helpers.map(({ start }) => start);
    expect(new Set(starts).size).toBe(starts.length);
    // The first one ends where the others begin.
    expect(origin.bytesServed('k')).toBeLessThan(SIZE + 8 * MIB);
    await eventually(async () => (await place.count(() => place.get())).bodies === 0);
  });

  it('for a part of it that is large enough stays within that part', async () => {
    const place = await placeWith();
    throttled(place);
    const [from, to] = [3 * MIB + 5, 54 * MIB];
    const answer = await place.get({ range: `bytes=${from}-${to}` });
    expect([answer.status, answer.complete]).toEqual([206, true]);
    expect(answer.body.equals(first.subarray(from, to + 1))).toBe(true);
    const helpers = helpersOf(place);
    expect(helpers.length).toBeGreaterThanOrEqual(2);
    for (const { start, end } of helpers) {
      expect(start).toBeGreaterThanOrEqual(from);
      expect(end).toBeLessThanOrEqual(to);
    }
  });

  it.each<[string, Options, Ask]>([
    ['smaller than cache.parallel_fill.min_object_size', { min_object_size: SIZE + 1 }, {}],
    ['with cache.parallel_fill.connections at 1', { connections: 1 }, {}],
    ['whose Range is signed', {}, { headers: ['Range', `bytes=0-${SIZE - 1}`] }],
    ['whose signature ends soon', {}, { expires: 100 }],
  ])('%s comes over one', async (_, options, ask) => {
    const place = await placeWith(options);
    const origin = throttled(place);
    const answer = await place.get(ask);
    expect([answer.complete, answer.body.equals(first)]).toEqual([true, true]);
    expect(origin.requestsFor('k')).toHaveLength(1);
  });

  it('that is fast enough comes over one', async () => {
    const place = await placeWith();
    expectWhole(await place.get());
    expect(place.origin.requestsFor('k').length).toBeLessThanOrEqual(2);
  });
});

describe('when the helpers are refused', () => {
  it.each<[string, Parameters<Place['origin']['faults']['on']>[1]]>([
    ['with 403', { status: 403 }],
    ['with 503', { status: 503 }],
    ['with 416', { status: 416 }],
    ['without an answer', { drop: true }],
    ['by a server that gives the whole object', { rewrite: reply => whole(reply), throttle: RATE }],
    ['in the middle of what they bring', { cutAfter: 3 * MIB, throttle: RATE }],
  ])('%s, the client gets every byte', async (_, fault) => {
    const place = await placeWith();
    const { origin } = place;
    const refused = origin.faults.on(HELPERS, fault);
    throttled(place);
    expectWhole(await place.get());
    expect(refused.hits).toBeGreaterThan(0);
    expect(refused.hits).toBeLessThanOrEqual(40);
    origin.faults.clear();
    await eventually(async () => (await place.count(() => place.get())).bodies === 0);
  });
});

/**
 * The first connection is the fastest, so that it ends while both helpers are at work; `fault` is for the third, which is
 * sent out then, and for what follows, but for plain requests.
 */
function afterFirst({ origin }: Place, fault: Fault, times?: number) {
  const begun = () => origin.requestsFor('k')[0];
  const when = (record: RequestRecord) => ofHelper(record) && begun()?.state !== 'running';
  const bad = origin.faults.on({ when, ...(times === undefined ? {} : { times }) }, fault);
  origin.faults.on(HELPERS, { throttle: RATE / 5 });
  origin.faults.on({ key: 'k', times: 1 }, { throttle: RATE / 2.5 });
  return bad;
}

/** Cut before their first byte, with whatever they are sent for again. */
const CUT = { cutAfter: 0 };

describe('where S3 cuts every request for a range, but not the plain one', () => {
  it('from the start, the first connection goes on to the end', async () => {
    const place = await placeWith();
    const { origin } = place;
    const cut = origin.faults.on(HELPERS, CUT);
    throttled(place);
    expectWhole(await place.get());
    expect(cut.hits).toBeGreaterThan(0);
    expect(cut.hits).toBeLessThanOrEqual(20);
    const [own] = origin.requestsFor('k');
    expect(own?.state).toBe('done');
  });

  it('after some bytes each time, the first connection goes on to the end', async () => {
    const place = await placeWith();
    place.origin.faults.on(HELPERS, { cutAfter: 100_000 });
    throttled(place);
    expectWhole(await place.get());
    expect(place.origin.requestsFor('k')[0]?.state).toBe('done');
  });

  it.each<[string, Fault]>([
    ['cut', CUT],
    ['refused with 403', { status: 403 }],
    ['answered 503', { status: 503 }],
    ['dropped', { drop: true }],
  ])('only when the first one has ended (%s), the rest comes by the client’s own request', async (_, fault) => {
    const place = await placeWith({ connections: 3 });
    const { origin } = place;
    const bad = afterFirst(place, fault);
    expectWhole(await place.get());
    expect(bad.hits).toBeGreaterThan(0);
    expect(bad.hits).toBeLessThanOrEqual(20);
    const plain = origin.requestsFor('k').filter(record => !ofHelper(record));
    expect(plain).toHaveLength(2);
    expect(plain[1]?.headers['if-match']).toBe(origin.object('data', 'k')!.etag);
    expect(plain[1]?.headers.authorization).toBe(plain[0]?.headers.authorization);
    origin.faults.clear();
    await eventually(async () => (await place.count(() => place.get())).bodies === 0);
  });

  it('and for a while answers 503, the read waits a little and goes on', async () => {
    const place = await placeWith({ connections: 3 });
    const { origin } = place;
    const bad = afterFirst(place, { status: 503 }, 2);
    expectWhole(await place.get());
    expect(bad.hits).toBe(2);
    expect(origin.requestsFor('k').filter(record => !ofHelper(record))).toHaveLength(1);
  });
});

describe('a helper that', () => {
  it.each([
    ['crawls', { throttle: 100_000 }],
    ['stalls', { stallAfter: MIB }],
  ])('%s does not hold the client up for long', async (_, fault) => {
    const place = await placeWith();
    const slow = place.origin.faults.on({ ...HELPERS, times: 1 }, fault);
    throttled(place);
    const began = performance.now();
    expectWhole(await place.get());
    expect(slow.hits).toBe(1);
    // One connection takes SIZE / RATE; the stall alone would take upstream_idle_timeout, 30 s.
    expect(performance.now() - began).toBeLessThan(15_000);
  });
});

describe('a helper that lags', () => {
  it.each<[string, Fault]>([
    ['crawls', { throttle: 100_000 }],
    ['never answers', { stallAfter: 0 }],
  ])('%s: other readers that wait for it are not held up either', async (_, fault) => {
    const place = await placeWith();
    const slow = place.origin.faults.on({ ...HELPERS, times: 1 }, fault);
    throttled(place);
    const began = performance.now();
    const one = place.get();
    await slow.struck.then(() => expect(slow.hits).toBe(1));
    for (const answer of await Promise.all([one, place.get(), place.get()])) expectWhole(answer);
    expect(performance.now() - began).toBeLessThan(15_000);
  });

  it('does not hold up who waits for it after the reader that it was sent for has left', async () => {
    const place = await placeWith();
    const slow = place.origin.faults.on({ ...HELPERS, times: 1 }, { throttle: 100_000 });
    throttled(place);
    const began = performance.now();
    const response = (await place.client.begin()).resume();
    await place.origin.waitFor(ofHelper);
    const other = place.get();
    // From then on helpers bring what comes.
    const [own] = place.origin.requestsFor('k');
    await eventually(() => own?.state !== 'running', 10_000);
    response.destroy();
    expectWhole(await other);
    expect(slow.hits).toBe(1);
    expect(performance.now() - began).toBeLessThan(15_000);
  });
});

describe('the helpers', () => {
  it('stop when the client leaves', async () => {
    const place = await placeWith();
    const origin = throttled(place);
    const response = await place.client.begin();
    await origin.waitFor(ofHelper);
    await bytesOf(response, 8 * MIB);
    response.destroy();
    await collect(response);
    await eventually(() => place.core.status().counters.active_requests === 0);
    const sent = origin.requestsFor('k').length;
    // Each ends with the extent in hand, and none follows it.
    await eventually(() => origin.requests.every(({ state }) => state !== 'running'), 10_000);
    expect(origin.requestsFor('k').length).toBe(sent);
    expectWhole(await place.get());
  });

  it('bring what other readers of the object are given, too', async () => {
    const place = await placeWith();
    throttled(place);
    const leading = place.get();
    await place.origin.waitFor(ofHelper);
    const answers = await Promise.all([place.get(), place.get({ range: `bytes=${40 * MIB}-` }), leading]);
    expectWhole(answers[0]);
    expect(answers[1].body.equals(first.subarray(40 * MIB))).toBe(true);
    expectWhole(answers[2]);
    expect(place.origin.bytesServed('k')).toBeLessThan(2 * SIZE);
  });

  it('that find the object overwritten bring nothing, and what is known of it is asked about again', async () => {
    const place = await placeWith();
    const { origin } = place;
    const overwrite = () => origin.put('data', 'k', SECOND);
    origin.faults.on({ key: 'k', times: 1 }, { at: { bytes: MIB, run: overwrite }, throttle: RATE });
    throttled(place);
    // S3 goes on with the version that it has begun with.
    expectWhole(await place.get());
    expect(helpersOf(place).map(({ record }) => record.status)).toContain(412);
    expectWhole(await place.get(), second);
  });

  it('never mix versions when the object is overwritten while they are at work', async () => {
    const place = await placeWith({ connections: 2 });
    const { origin } = place;
    const overwrite = () => origin.put('data', 'k', SECOND);
    origin.faults.on({ ...HELPERS, times: 1 }, { at: { bytes: 4 * MIB, run: overwrite }, throttle: RATE });
    throttled(place);
    const answer = await place.get();
    expect(answer.complete).toBe(false);
    expect(answer.body.length).toBeGreaterThan(16 * MIB);
    expect(answer.body.equals(first.subarray(0, answer.body.length))).toBe(true);
    expectWhole(await place.get(), second);
  });
});

/** What a server answers that knows no Range. */
function whole({ headers }: Reply): Reply {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2)
    if (!/^content-(range|length)$/i.test(headers[i]!)) kept.push(headers[i]!, headers[i + 1]!);
  return { status: 200, headers: kept, body: { length: SIZE, chunks: chunks() } };
}

function* chunks(): Generator<Buffer> {
  for (let at = 0; at < SIZE; at += MIB) yield first.subarray(at, at + MIB);
}
