import { describe, expect, it } from 'vitest';
import { BOB, type Fault, generatedBody, type Reply, type RequestRecord } from '../origin/index.ts';
import { type Answer, type Ask, bytesOf, eventually, MIB, type Place, startPlace } from '../read/helpers.ts';

const SIZE = 16 * MIB;
const BREAK = 5 * MIB + 7;
const FIRST = generatedBody(SIZE, 1).read(0, SIZE);
const SECOND = generatedBody(SIZE, 2).read(0, SIZE);

async function placeWith(pool: object = {}): Promise<Place> {
  const place = await startPlace({
    origin: { buckets: { data: { anonymous: 'read' } } },
    settings: { connection_pool: { upstream_first_byte_timeout: 1000, upstream_idle_timeout: 300, ...pool } },
  });
  place.origin.put('data', 'k', FIRST, { partSize: 8 * MIB });
  return place;
}

/** What was promised came, and it is this; or the connection was cut, and what came before is this. */
function expectRight(answer: Answer, body: Buffer, complete: boolean, from = 0): void {
  expect(answer.complete).toBe(complete);
  expect(answer.body.equals(body.subarray(from, from + answer.body.length))).toBe(true);
}

const BREAKS: readonly [string, Fault][] = [
  ['cut', { cutAfter: BREAK }],
  ['reset', { resetAfter: BREAK }],
  ['silent', { stallAfter: BREAK }],
];

const RANGE = `bytes=${3 * MIB}-${14 * MIB - 1}`;
/** `replayed`: it goes on by the same range again, not by the rest of it. */
const CALLERS: readonly [string, Ask, { start: number; end: number; replayed?: string }][] = [
  ['a signed request', {}, { start: 0, end: SIZE }],
  ['a presigned URL', { expires: 900 }, { start: 0, end: SIZE }],
  ['nobody', { who: null }, { start: 0, end: SIZE }],
  ['a request whose Range is not signed', { range: RANGE }, { start: 3 * MIB, end: 14 * MIB }],
  [
    'a request whose Range is signed',
    { headers: ['Range', RANGE] },
    { start: 3 * MIB, end: 14 * MIB, replayed: RANGE },
  ],
];

describe.each(BREAKS)('a body that S3 leaves %s in the middle', (_, fault) => {
  it.each(CALLERS)('for %s goes on without the client noticing', async (_, ask, { start, end, replayed }) => {
    const { origin, get, count } = await placeWith();
    origin.faults.on({ key: 'k', times: 1 }, fault);
    const answer = await get(ask);
    expectRight(answer, FIRST, true, start);
    expect(answer.body.length).toBe(end - start);
    const [first, second, ...more] = origin.requestsFor('k');
    expect(more).toEqual([]);
    const range = second?.headers.range;
    if (replayed !== undefined) expect(range).toBe(replayed);
    else {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
      expect(Number(to)).toBe(end - 1);
      // A reset takes away what had come and was not yet read.
      if (fault.resetAfter === undefined) expect(Number(from)).toBe(start + BREAK);
      else expect(Number(from)).toBeGreaterThan(start);
      expect(Number(from)).toBeLessThanOrEqual(start + BREAK);
    }
    expect(second?.headers['if-match']).toBe(origin.object('data', 'k')!.etag);
    expect(second?.headers.authorization).toBe(first?.headers.authorization);
    // What came before the break is kept as well as what came after.
    await eventually(async () => (await count(() => get(ask))).bodies === 0);
  });

  it('for several at once, of whom one has left, goes on for the others', async () => {
    const { origin, get, client, core } = await placeWith();
    const broken = origin.faults.on({ key: 'k', times: 1 }, { ...fault, throttle: 40 * MIB });
    const leaver = await client.begin();
    const others = Promise.all([get({ who: BOB, range: `bytes=${MIB}-${12 * MIB - 1}` }), get(), get({ who: null })]);
    await bytesOf(leaver, MIB);
    leaver.destroy();
    const [part, ...whole] = await others;
    expectRight(part!, FIRST, true, MIB);
    for (const answer of whole) expectRight(answer, FIRST, true);
    expect(broken.hits).toBe(1);
    await eventually(() => core.status().counters.active_requests === 0);
  });
});

describe('a body that S3 breaks off again and again', () => {
  it.each([
    ['without another byte', { cutAfter: 0 }],
    ['with a reset', { resetAfter: 0 }],
    ['with an error', { status: 503 }],
    ['with no answer', { drop: true }],
  ])('%s is cut for the client after a few tries', async (_, fault) => {
    const { origin, get } = await placeWith();
    origin.faults.on({ key: 'k', times: 1 }, { cutAfter: BREAK });
    origin.faults.on({ key: 'k' }, fault);
    const answer = await get();
    expectRight(answer, FIRST, false);
    expect(answer.body.length).toBe(BREAK);
    expect(origin.requestsFor('k').length).toBeLessThanOrEqual(20);
    origin.faults.clear();
    expectRight(await get(), FIRST, true);
  });
});

describe('an object that changes between the break and the resumption', () => {
  it.each(BREAKS.slice(0, 2))(
    '(%s) is cut for the client, never mixed, and right when asked for again',
    async (_, fault) => {
      const { origin, get } = await placeWith();
      const at = { bytes: BREAK, run: () => origin.put('data', 'k', SECOND) };
      origin.faults.on({ key: 'k', times: 1 }, { ...fault, at });
      const answer = await get();
      expectRight(answer, FIRST, false);
      expect(answer.body.length).toBeLessThanOrEqual(BREAK);
      expectRight(await get(), SECOND, true);
    },
  );

  it('and then gives the new version under the old length never completes the old one', async () => {
    const { origin, get } = await placeWith();
    const at = { bytes: BREAK, run: () => origin.put('data', 'k', SECOND, { etag: '"second"' }) };
    origin.faults.on({ key: 'k', times: 1 }, { cutAfter: BREAK, at });
    // A server that knows no If-Match.
    origin.faults.on({ key: 'k', times: 1 }, { rewrite: (_, record) => ranged(record, SECOND, '"second"') });
    expectRight(await get(), FIRST, false);
    expectRight(await get(), SECOND, true);
  });
});

describe('a server that does not do what Range asks', () => {
  const etagOf = (place: Place) => place.origin.object('data', 'k')!.etag;
  it.each<[string, (place: Place) => (reply: Reply, record: RequestRecord) => Reply]>([
    ['and answers with the whole object', place => () => whole(FIRST, etagOf(place))],
    ['and answers with a later range', place => (_, record) => ranged(record, FIRST, etagOf(place), 1000)],
    [
      'and does not say which range it is',
      place => (_, record) => without(ranged(record, FIRST, etagOf(place)), 'Content-Range'),
    ],
  ])('%s: the client gets the right bytes or sees the cut', async (_, answers) => {
    const place = await placeWith();
    const { origin, get } = place;
    origin.faults.on({ key: 'k', times: 1 }, { cutAfter: BREAK });
    const odd = origin.faults.on(
      { key: 'k', when: record => record.headers.range !== undefined },
      { rewrite: answers(place) },
    );
    const answer = await get();
    expect(odd.hits).toBeGreaterThan(0);
    expectRight(answer, FIRST, answer.complete);
    if (answer.complete) expect(answer.body.length).toBe(SIZE);
    origin.faults.clear();
    expectRight(await get(), FIRST, true);
  });
});

describe('a body that is not as long as S3 said', () => {
  it('is never taken for whole, however often it is asked for', async () => {
    const { origin, get } = await placeWith();
    const small = FIRST.subarray(0, 300_000);
    origin.put('data', 'short', small);
    origin.faults.on({ key: 'short' }, { cutAfter: 100_000 });
    const answer = await get({ key: 'short', headers: ['Cache-Control', 'no-store'], unsigned: ['cache-control'] });
    expectRight(answer, small, false);
    // Each try brings some: in the end it is all there.
    const resumed = await get({ key: 'short' });
    expectRight(resumed, small, resumed.complete);
    origin.faults.clear();
    const after = await get({ key: 'short' });
    expectRight(after, small, true);
    expect(after.body.length).toBe(small.length);
  });

  it('but longer: what is too much goes to nobody', async () => {
    const { origin, get } = await placeWith();
    const body = FIRST.subarray(0, 300_000);
    origin.put('data', 'long', body);
    origin.faults.on(
      { key: 'long', times: 1 },
      { rewrite: reply => ({ ...reply, body: { length: body.length, chunks: [body, Buffer.alloc(5000, 0x37)] } }) },
    );
    for (let i = 0; i < 3; i++) {
      const answer = await get({ key: 'long' });
      expectRight(answer, body, true);
      expect(answer.body.length).toBe(body.length);
    }
    expectRight(await get(), FIRST, true);
  });
});

function whole(body: Buffer, etag: string): Reply {
  return {
    status: 200,
    headers: ['ETag', etag, 'Last-Modified', new Date(0).toUTCString(), 'Content-Type', 'binary/octet-stream'],
    body: { length: body.length, chunks: [body] },
  };
}

/** The range that was asked for, or, as a server that errs would, one that begins `off` bytes later. */
function ranged(record: RequestRecord, body: Buffer, etag: string, off = 0): Reply {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(record.headers.range ?? '') ?? [];
  if (from === undefined || to === undefined) return whole(body, etag);
  const [start, end] = [Number(from) + off, Number(to)];
  const made = whole(body.subarray(start, end + 1), etag);
  return { ...made, status: 206, headers: [...made.headers, 'Content-Range', `bytes ${start}-${end}/${body.length}`] };
}

function without(reply: Reply, name: string): Reply {
  const at = reply.headers.indexOf(name);
  return { ...reply, headers: reply.headers.filter((_, i) => i !== at && i !== at + 1) };
}
