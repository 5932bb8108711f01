import { describe, expect, it } from 'vitest';
import { ALICE, BOB, type Fault, generatedBody } from '../origin/index.ts';
import { type Answer, bytesOf, collect, eventually, hash, MIB, type Place, startPlace } from './helpers.ts';

const HOUR = 3_600_000;
const SIZE = 24 * MIB;
const body = generatedBody(SIZE);
const DIGEST = hash(body.read(0, SIZE));
const BREAK = 9 * MIB + 11;

async function placeWith(): Promise<Place> {
  const place = await startPlace({
    cache: { get_ttl: HOUR, head_ttl: HOUR },
    settings: { connection_pool: { upstream_idle_timeout: 500 } },
  });
  place.origin.put('data', 'k', body);
  return place;
}

const queryOf = (path: string) => new URLSearchParams(path.split('?')[1] ?? '');

/** A read under way that has come to where S3 sends no more, until it is let go and cut there. */
async function brokenRead(place: Place, ask = {}, more: Fault = {}) {
  const broken = place.origin.faults.on({ key: 'k', times: 1 }, { stallAfter: BREAK, cutAfter: BREAK, ...more });
  const response = await place.client.begin(ask);
  await broken.struck;
  return { response, breakOff: () => broken.release() };
}

/** How it ends: whole, as if nothing had been. */
function expectWhole(answer: Answer): void {
  expect([answer.status, answer.complete, answer.body.length]).toEqual([200, true, SIZE]);
  expect(hash(answer.body)).toBe(DIGEST);
}

describe('a body that S3 cuts', () => {
  it('is sent for once, from the next byte on, and the client sees one whole answer with its length', async () => {
    const place = await placeWith();
    const { response, breakOff } = await brokenRead(place);
    breakOff();
    const answer = await collect(response);
    expectWhole(answer);
    expect(answer.header('content-length')).toBe(String(SIZE));
    expect(answer.header('content-range')).toBeUndefined();
    const [first, second, ...more] = place.origin.requestsFor('k');
    expect(more).toEqual([]);
    expect(first?.headers.range).toBeUndefined();
    expect([second?.headers.range, second?.headers['if-match'], second?.status]).toEqual([
      `bytes=${BREAK}-${SIZE - 1}`,
      place.origin.object('data', 'k')!.etag,
      206,
    ]);
  });

  it('time and again goes on time and again, as long as something comes each time', async () => {
    const place = await placeWith();
    const cut = place.origin.faults.on({ key: 'k', times: 10 }, { cutAfter: 2 * MIB });
    expectWhole(await place.get());
    expect(cut.hits).toBe(10);
    expect(place.origin.requestsFor('k').map(({ headers }) => headers.range)).toEqual([
      undefined,
      ...Array.from({ length: 10 }, (_, i) => `bytes=${(i + 1) * 2 * MIB}-${SIZE - 1}`),
    ]);
  });

  it('is sent for with the signature that holds longest, among those who read', async () => {
    const place = await placeWith();
    const { response, breakOff } = await brokenRead(place, { who: ALICE, expires: 900 });
    const other = await place.client.begin({ who: BOB, expires: 3600 });
    const started = await bytesOf(other, MIB);
    breakOff();
    const [mine, rest] = await Promise.all([collect(response), collect(other)]);
    expectWhole(mine);
    expect(hash(Buffer.concat([started, rest.body]))).toBe(DIGEST);
    const resumed = place.origin.requestsFor('k').filter(({ headers }) => headers.range !== undefined);
    expect(resumed).toHaveLength(1);
    expect(queryOf(resumed[0]!.path).get('X-Amz-Expires')).toBe('3600');
    expect(queryOf(resumed[0]!.path).get('X-Amz-Credential')).toContain(BOB.accessKeyId);
  });

  it('goes on for the others, where the one whose signature holds longest is refused', async () => {
    const place = await placeWith();
    const { response, breakOff } = await brokenRead(place, { who: ALICE, expires: 900 });
    const other = await place.client.begin({ who: BOB, expires: 3600 });
    const started = await bytesOf(other, MIB);
    const isBob = ({ path }: { path: string }) => queryOf(path).get('X-Amz-Expires') === '3600';
    place.origin.faults.on({ key: 'k', when: isBob }, { status: 403 });
    breakOff();
    const [mine, theirs] = await Promise.all([collect(response), collect(other)]);
    expectWhole(mine);
    // S3 had let Bob read this version, too: he may have what it gives to Alice, and is never given anything else.
    const got = Buffer.concat([started, theirs.body]);
    expect(got.length).toBeGreaterThanOrEqual(BREAK);
    expect(got.equals(body.read(0, got.length))).toBe(true);
  });

  it('is sent for with a reader’s own signed range, where nobody has another', async () => {
    const place = await placeWith();
    const { response, breakOff } = await brokenRead(place);
    const [from, to] = [8 * MIB, 14 * MIB];
    const range = `bytes=${from}-${to - 1}`;
    const part = await place.client.begin({ headers: ['Range', range] });
    const started = await bytesOf(part, 1000);
    response.destroy();
    await collect(response);
    await eventually(() => place.core.status().counters.active_requests === 1);
    breakOff();
    const rest = await collect(part);
    expect(rest.complete).toBe(true);
    expect(Buffer.concat([started, rest.body]).equals(body.read(from, to))).toBe(true);
    const resumed = place.origin.requestsFor('k').filter(({ headers }) => headers.range !== undefined);
    // Bit for bit as it was signed.
    expect(new Set(resumed.map(({ headers }) => headers.range))).toEqual(new Set([range]));
  });

  it('is lost to a reader whose signed range S3 refuses for the rest', async () => {
    const place = await placeWith();
    const range = `bytes=${MIB}-${20 * MIB - 1}`;
    const broken = place.origin.faults.on({ key: 'k', times: 1 }, { stallAfter: BREAK, cutAfter: BREAK });
    const response = await place.client.begin({ headers: ['Range', range] });
    await broken.struck;
    place.origin.faults.on({ key: 'k' }, { status: 403 });
    broken.release();
    const answer = await collect(response);
    expect([answer.status, answer.complete]).toEqual([206, false]);
    expect(answer.body.equals(body.read(MIB, MIB + answer.body.length))).toBe(true);
    for (const { headers } of place.origin.requestsFor('k')) expect(headers.range).toBe(range);
  });

  it('of a version that is gone is cut, and what is known of the object is asked about again, also within the ttl', async () => {
    const place = await placeWith();
    const { response, breakOff } = await brokenRead(place);
    const next = generatedBody(SIZE, 2);
    place.origin.put('data', 'k', next);
    breakOff();
    const answer = await collect(response);
    expect([answer.status, answer.complete]).toEqual([200, false]);
    expect(answer.body.equals(body.read(0, answer.body.length))).toBe(true);
    expect(place.origin.requestsFor('k').map(({ status }) => status)).toContain(412);
    const after = await place.get();
    expect([after.complete, after.body.equals(next.read(0, SIZE))]).toEqual([true, true]);
  });

  it('goes on where the server answers to Range with all of it', async () => {
    const place = await placeWith();
    const { response, breakOff } = await brokenRead(place);
    const asked = place.origin.faults.on(
      { key: 'k', when: ({ headers }) => headers.range !== undefined },
      {
        rewrite: ({ headers }) => ({
          status: 200,
          headers: headers.filter((_, i) => !/^content-/i.test(headers[i - (i % 2)]!)),
          body: { length: SIZE, chunks: [body.read(0, SIZE)] },
        }),
      },
    );
    breakOff();
    expectWhole(await collect(response));
    expect(asked.hits).toBe(1);
    await eventually(async () => (await place.count(() => place.get())).requests === 0);
  });

  it('and stalls instead of ending is given up after upstream_idle_timeout, and goes on', async () => {
    const place = await placeWith();
    const stall = place.origin.faults.on({ key: 'k', times: 1 }, { stallAfter: BREAK });
    expectWhole(await place.get());
    expect(stall.hits).toBe(1);
    expect(place.origin.requestsFor('k')[1]?.headers.range).toBe(`bytes=${BREAK}-${SIZE - 1}`);
  });
});
