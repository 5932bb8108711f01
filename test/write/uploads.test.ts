import { describe, expect, it } from 'vitest';
import { CHECKSUM_ALGORITHMS, digest, generatedBody } from '../origin/index.ts';
import { type Ask, comparable, eventually, MIB, type Place, type PlaceOptions, startPlace } from '../read/helpers.ts';
import { chunked, presigned, type Sent, send, signed } from './send.ts';

const HOUR = 3_600_000;
const ABOUT = ['Content-Type', 'text/csv', 'x-amz-meta-a', 'one  two'];

type Form = (place: Place, content: Buffer) => Sent;

const FORMS: Record<string, Form> = {
  'a PUT': (place, content) => signed(place, content, ABOUT),
  'a PUT that says nothing of the object': (place, content) => signed(place, content),
  'a PUT that says all there is': (place, content) =>
    signed(place, content, [
      ...[...ABOUT, 'Content-Encoding', 'gzip', 'Content-Disposition', 'attachment; filename="a b.csv"'],
      ...['Content-Language', 'de', 'Cache-Control', 'max-age=60', 'Expires', 'Wed, 21 Oct 2026 07:28:00 GMT'],
      ...['x-amz-tagging', 'a=1&b=2', 'x-amz-storage-class', 'STANDARD_IA', 'x-amz-website-redirect-location', '/o'],
      ...['x-amz-server-side-encryption', 'aws:kms', 'x-amz-server-side-encryption-aws-kms-key-id', 'key'],
    ]),
  'a PUT of metadata that is not ASCII': (place, content) =>
    signed(place, content, [...ABOUT, 'x-amz-meta-b', Buffer.from('Käse', 'utf8').toString('latin1')]),
  'a PUT that waits for 100 Continue': (place, content) => signed(place, content, [...ABOUT, 'Expect', '100-continue']),
  'a presigned PUT': (place, content) => presigned(place, content, { headers: ABOUT.slice(0, 2) }),
  'a presigned PUT with its headers in the query': (place, content) =>
    presigned(place, content, {
      query: '?x-amz-meta-a=one%20%20two&x-amz-storage-class=STANDARD_IA&x-id=PutObject',
      headers: ['Content-Type', 'text/csv'],
    }),
  'signed chunks': (place, content) => chunked(place, content, { form: 'signed', chunkSize: 8192 }, ABOUT),
  'signed chunks in chunked transfer': (place, content) =>
    chunked(place, content, { form: 'signed', transferChunked: true }, ABOUT),
  'signed chunks of a coded object': (place, content) =>
    chunked(place, content, { form: 'signed', encoding: 'gzip' }, ABOUT),
};
for (const algorithm of CHECKSUM_ALGORITHMS) {
  for (const form of ['signed-trailer', 'unsigned-trailer'] as const) {
    FORMS[`${form.replace('-', ' ')} with ${algorithm}`] = (place, content) => {
      const sum = digest(algorithm, [content]).toString('base64');
      return chunked(place, content, { form, trailer: [`x-amz-checksum-${algorithm}`, sum] }, ABOUT);
    };
  }
}

const SIZES: Record<string, number> = { 'zero bytes': 0, '1,000 bytes': 1000, '9 MiB and some': 9 * MIB + 12_345 };

async function place(options: PlaceOptions = {}): Promise<Place> {
  return startPlace({ cache: { get_ttl: HOUR, head_ttl: HOUR }, ...options });
}

function contentOf(size: number): Buffer {
  return size === 0 ? Buffer.alloc(0) : generatedBody(size).read(0, size);
}

/** Reads as a client does, each held against what the origin itself answers. Returns what of it came from there. */
async function readBack(here: Place, asks: readonly Ask[]): Promise<{ bytes: number; caches: (string | undefined)[] }> {
  let bytes = 0;
  const caches: (string | undefined)[] = [];
  for (const ask of asks) {
    const count = await here.count(async () => {
      const answer = await here.get(ask);
      caches.push(answer.header('x-cache'));
      here.origin.faults.clear();
      const direct = await here.direct.send(ask);
      expect(comparable(answer)).toEqual(comparable(direct));
      bytes -= ask.method === 'HEAD' ? 0 : direct.body.length;
    });
    bytes += count.bytes;
  }
  return { bytes, caches };
}

const CHECKED = { headers: ['x-amz-checksum-mode', 'ENABLED'] };

describe.each(Object.entries(FORMS))('%s', (_, form) => {
  it.each(Object.entries(SIZES))('of %s is read without a body from S3, as it is there', async (_size, size) => {
    const here = await place();
    const content = contentOf(size);
    const answer = await send(here, form(here, content));
    expect(answer.status).toBe(200);
    expect(here.origin.object('data', 'k')!.body.read(0, size).equals(content)).toBe(true);
    const range: Ask = { range: `bytes=${Math.floor(size / 3)}-${Math.floor(size / 2)}` };
    const asks: Ask[] = [{}, { method: 'HEAD' }, ...(size > 0 ? [range] : []), CHECKED, { ...CHECKED, method: 'HEAD' }];
    const { bytes, caches } = await readBack(here, asks);
    expect(bytes).toBeLessThanOrEqual(2);
    // Of an empty object S3 can't be asked one byte.
    if (size > 0) expect(caches).not.toContain('MISS');
    expect(here.core.status().counters).toMatchObject({ uploads_kept: 1, upload_reasons: {} });
  });
});

describe('the first read of an upload', () => {
  const content = contentOf(3 * MIB);
  it.each<[string, Ask]>([
    ['a GET', {}],
    ['a range', { range: 'bytes=1000-2000000' }],
    ['a signed range', { headers: ['Range', 'bytes=1000-2000000'] }],
    ['a HEAD', { method: 'HEAD' }],
    ['a HEAD in checksum mode', { ...CHECKED, method: 'HEAD' }],
  ])('is %s, answered as S3 does, and mostly without it', async (_, ask) => {
    const here = await place();
    await send(here, signed(here, content, ABOUT));
    const { bytes } = await readBack(here, [ask]);
    expect(bytes).toBeLessThanOrEqual(1);
  });
  it('may come through another process on the directory', async () => {
    const here = await place();
    const other = await here.another();
    await send(here, signed(here, content, ABOUT));
    const { bytes } = await readBack({ ...here, get: ask => other.client.send(ask) }, [{}, { method: 'HEAD' }]);
    expect(bytes).toBeLessThanOrEqual(1);
  });
});

it('a plain body in chunked transfer, where the store takes it, is kept', async () => {
  const here = await place({ origin: { takesPlainChunks: true } });
  const content = contentOf(200_000);
  const sent = presigned(here, content, { headers: ABOUT.slice(0, 2) });
  const headers = sent.headers.map(value =>
    value === '200000' ? 'chunked' : value === 'Content-Length' ? 'Transfer-Encoding' : value,
  );
  expect((await send(here, { ...sent, headers })).status).toBe(200);
  expect((await readBack(here, [{}])).bytes).toBeLessThanOrEqual(1);
});

describe('an overwrite', () => {
  it('is what readers get, also where a copy of the older one was kept and read', async () => {
    const here = await place();
    for (const size of [5000, 200_000, 70_000]) {
      await send(here, signed(here, contentOf(size), ABOUT));
      expect((await readBack(here, [{}, { range: 'bytes=5-9' }])).bytes).toBeLessThanOrEqual(1);
    }
  });
  it('with the same bytes and other metadata is answered with these', async () => {
    const here = await place();
    await send(here, signed(here, contentOf(5000), ABOUT));
    await readBack(here, [{}]);
    await send(here, signed(here, contentOf(5000), ['Content-Type', 'text/plain']));
    expect((await readBack(here, [{}, { method: 'HEAD' }])).bytes).toBeLessThanOrEqual(1);
  });
});

describe('an upload that fails leaves what was cached', () => {
  const older = contentOf(300_000);
  const cached = async () => {
    const here = await place();
    await send(here, signed(here, older, ABOUT));
    await here.get();
    return here;
  };
  const expectOlder = async (here: Place) => {
    const answer = await here.get();
    expect(answer.body.equals(older)).toBe(true);
    expect((await readBack(here, [{}])).bytes).toBe(0);
  };
  it('with a 4xx', async () => {
    const here = await cached();
    here.origin.faults.on({ key: 'k', method: 'PUT' }, { status: 403, answerAt: 'body' });
    expect((await send(here, signed(here, contentOf(400_000)))).status).toBe(403);
    expect((await here.count(() => here.get())).requests).toBe(0);
    await expectOlder(here);
  });
  it('with a checksum that does not hold', async () => {
    const here = await cached();
    const wrong = ['x-amz-checksum-crc32', 'AAAAAA=='] as const;
    const sent = chunked(here, contentOf(400_000), { form: 'unsigned-trailer', trailer: wrong });
    expect((await send(here, sent)).status).toBe(400);
    expect((await here.count(() => here.get())).requests).toBe(0);
    await expectOlder(here);
  });
  it('with a 5xx, after which S3 is asked', async () => {
    const here = await cached();
    here.origin.faults.on({ key: 'k', method: 'PUT' }, { status: 503, answerAt: 'body' });
    expect((await send(here, signed(here, contentOf(400_000)))).status).toBe(503);
    await expectOlder(here);
  });
});

describe('nothing is kept', () => {
  it.each<[string, PlaceOptions, readonly string[], string]>([
    ['where it is off', { cache: { write_cache_enabled: false } }, [], 'write_cache_disabled'],
    ['of what is too large', { cache: { write_cache_max_object_size: 999 } }, [], 'too_large'],
    ['of what is archived', {}, ['x-amz-storage-class', 'GLACIER'], 'archived'],
  ])('%s, and nothing stale served', async (_, options, headers, reason) => {
    const here = await place(options);
    here.origin.put('data', 'k', 'the older one');
    await here.get();
    await send(here, signed(here, contentOf(1000), headers));
    const [answer, direct] = [await here.get(), await here.direct.send()];
    expect(comparable(answer)).toEqual(comparable(direct));
    expect(here.core.status().counters).toMatchObject({ uploads_kept: 0, upload_reasons: { [reason]: 1 } });
  });
  it('of an upload whose client left before its end', async () => {
    const here = await place();
    const stalled = here.origin.faults.on({ key: 'k', method: 'PUT' }, { stopReadingAfter: 1 });
    const sent = signed(here, contentOf(MIB));
    const upload = here.client.start({ method: 'PUT', body: sent.body });
    upload.on('error', () => {});
    await stalled.struck;
    upload.destroy();
    stalled.release();
    expect((await here.get()).status).toBe(404);
    expect(here.core.status().counters.uploads_kept).toBe(0);
  });
});

it('a client that leaves after its upload was sent leaves a copy all the same', async () => {
  const here = await place();
  let open: () => void = () => {};
  const gate = new Promise<void>(resolve => {
    open = resolve;
  });
  const waits = here.origin.faults.on({ key: 'k', method: 'PUT' }, { beforeHeaders: gate });
  const upload = here.client.start({ method: 'PUT', body: contentOf(5000), headers: ABOUT });
  upload.on('error', () => {});
  await waits.struck;
  upload.destroy();
  open();
  await eventually(() => here.core.status().counters.uploads_kept === 1);
  expect((await readBack(here, [{}])).bytes).toBeLessThanOrEqual(1);
});
