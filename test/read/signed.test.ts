import { describe, expect, it } from 'vitest';
import { generatedBody, type RequestRecord } from '../origin/index.ts';
import { type Ask, eventually, filesUnder, MIB, type Place, startPlace } from './helpers.ts';

/** What may be added to a caller's request where it is not signed. */
const OURS = ['range', 'if-match', 'if-none-match'];

/** Sends `ask` through the proxy and compares what S3 saw, bit for bit, with what was sent. */
async function expectFaithful({ client, origin }: Place, about: Ask): Promise<RequestRecord[]> {
  // Signed at one time, the request is the same each time that it is made.
  const ask = { ...about, at: Date.now() };
  const sent = client.compose(ask);
  const before = origin.requests.length;
  expect((await client.send(ask)).status, JSON.stringify(ask)).toBeLessThan(400);
  const seen = origin.requests.slice(before);
  for (const record of seen) {
    expect(record.path).toBe(sent.target);
    const signed = /SignedHeaders=([^,]+)/.exec(record.headers.authorization ?? '')?.[1]?.split(';') ?? ['host'];
    expect(lines(record.rawHeaders, signed)).toEqual(lines(sent.headers, signed));
    const added = record.rawHeaders.filter((name, i) => i % 2 === 0 && isOurs(name, signed));
    expect(new Set(added.map(name => name.toLowerCase())).size).toBe(added.length);
  }
  return seen;
}

/** Header lines as they came, less the connection's and those that are free to be changed. */
function lines(raw: readonly string[], signed: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!isOurs(raw[i]!, signed) && raw[i]!.toLowerCase() !== 'connection') kept.push(`${raw[i]}: ${raw[i + 1]}`);
  }
  return kept;
}

function isOurs(name: string, signed: readonly string[]): boolean {
  return OURS.includes(name.toLowerCase()) && !signed.includes(name.toLowerCase());
}

describe.each([0, 3_600_000])("the caller's request, at ttl %i", ttl => {
  it('reaches S3 bit for bit, with no more added than the signature leaves free', async () => {
    const place = await startPlace({
      cache: { get_ttl: ttl, head_ttl: ttl },
      origin: { buckets: { data: { anonymous: 'read' } } },
    });
    place.origin.put('data', "odd key/ä~*'()", generatedBody(20 * MIB));
    const key = "odd%20key/%C3%a4~*'()";
    const asks: Ask[] = [
      { key, range: 'bytes=5-100' },
      { key, headers: ['x-AMZ-Meta-Odd', 'a  b', 'X-B', '2', 'x-a', '1', 'User-Agent', 'aws-sdk/1  (x)'] },
      { key, headers: ['Range', 'bytes=1000000-2000000'] },
      { key, headers: ['rAnGe', 'bytes=9000000-'] },
      { key, headers: ['Range', 'bytes=-77', 'x-amz-checksum-mode', 'ENABLED'] },
      { key, headers: ['If-Match', place.origin.object('data', "odd key/ä~*'()")!.etag, 'Range', 'bytes=0-9'] },
      { key, headers: ['If-None-Match', '"other"'] },
      { key, query: '?partNumber=1' },
      { key, query: '?x-id=GetObject' },
      { key, method: 'HEAD' },
      { key, expires: 60, range: 'bytes=4000000-5000000' },
      { key, who: null },
      { key },
    ];
    for (const ask of [...asks, ...asks]) await expectFaithful(place, ask);
  });

  it('keeps a signed Range as it is, whatever of it is cached', async () => {
    const place = await startPlace({ cache: { get_ttl: ttl, head_ttl: ttl } });
    place.origin.put('data', 'k', generatedBody(20 * MIB));
    const ranges = ['bytes=0-99999', `bytes=50000-${9 * MIB}`, `bytes=${8 * MIB}-`, 'bytes=-1000', 'bytes=0-'];
    for (const range of ranges) {
      const ask = { headers: ['Range', range] };
      const seen = await expectFaithful(place, ask);
      for (const record of seen) expect(record.headers.range).toBe(range);
      const answer = await place.get(ask);
      const [start, end] = /bytes (\d+)-(\d+)/.exec(answer.header('content-range')!)!.slice(1).map(Number);
      expect(answer.body.equals(generatedBody(20 * MIB).read(start!, end! + 1))).toBe(true);
    }
  });

  it('waits for what its signed Range brings, however slowly that comes to what is missing', async () => {
    const place = await startPlace({ cache: { get_ttl: ttl, head_ttl: ttl } });
    const body = generatedBody(3 * MIB);
    place.origin.put('data', 'k', body);
    await place.client.send({ key: 'k', range: `bytes=0-${2 * MIB - 1}` });
    const slow = place.origin.faults.on({ key: 'k', times: 1 }, { throttle: 1_300_000 });
    const answer = await place.client.send({ key: 'k', headers: ['Range', 'bytes=0-'] });
    await slow.struck;
    expect(answer.status).toBe(206);
    expect(answer.complete).toBe(true);
    expect(answer.body.equals(body.read(0, 3 * MIB))).toBe(true);
  });

  it('fetches only what is missing where Range is left unsigned', async () => {
    const place = await startPlace({ cache: { get_ttl: ttl, head_ttl: ttl } });
    place.origin.put('data', 'k', generatedBody(20 * MIB));
    await place.get({ range: `bytes=${4 * MIB}-${6 * MIB - 1}` });
    await place.get({ range: `bytes=${12 * MIB}-${16 * MIB - 1}` });
    await eventually(async () => (await filesUnder(`${place.cacheDir}/buckets`)).length === 3);
    const seen = await place.count(async () => {
      const answer = await place.get();
      expect(answer.body.equals(generatedBody(20 * MIB).read(0, 20 * MIB))).toBe(true);
    });
    expect(seen.bytes).toBe(14 * MIB);
    for (const record of place.origin.requestsFor('k').slice(-3))
      expect(record.headers['if-match']).toBe(place.origin.object('data', 'k')!.etag);
  });
});
