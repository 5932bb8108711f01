import { describe, expect, it } from 'vitest';
import { digest, generatedBody } from '../origin/index.ts';
import {
  type Answer,
  type Ask,
  type Client,
  comparable,
  eventually,
  filesUnder,
  MIB,
  type Place,
  startPlace,
} from '../read/helpers.ts';

const HOUR = 3_600_000;
const PART = 5 * MIB;
const CONTENT = generatedBody(2 * PART + 777_777);
const PARTS = [CONTENT.read(0, PART), CONTENT.read(PART, 2 * PART), CONTENT.read(2 * PART, CONTENT.length)] as const;
const ABOUT = ['Content-Type', 'text/csv', 'x-amz-meta-a', '1', 'Cache-Control', 'max-age=5'];
const CHECKED = ['x-amz-checksum-mode', 'ENABLED'];

async function place(): Promise<Place> {
  return startPlace({ cache: { get_ttl: HOUR, head_ttl: HOUR } });
}

async function create(client: Client, headers: readonly string[] = ABOUT): Promise<string> {
  const begun = await client.send({ method: 'POST', query: '?uploads=', headers });
  return encodeURIComponent(/<UploadId>(.*?)<\/UploadId>/.exec(begun.body.toString())![1]!);
}

function part(
  client: Client,
  id: string,
  number: number,
  body: Buffer,
  headers: readonly string[] = [],
): Promise<Answer> {
  return client.send({ method: 'PUT', query: `?partNumber=${number}&uploadId=${id}`, body, headers });
}

function complete(
  client: Client,
  id: string,
  parts: readonly (readonly [number: number, etag: string | undefined, checksum?: string])[],
): Promise<Answer> {
  const list = parts.map(
    ([number, etag, checksum = '']) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag>${checksum}</Part>`,
  );
  const body = Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`);
  return client.send({ method: 'POST', query: `?uploadId=${id}`, body });
}

/** Each read is held against what the origin itself answers; returns how many bytes of bodies the proxy took for each. */
async function readBack(here: Place, asks: readonly Ask[], client = here.client): Promise<number[]> {
  const taken: number[] = [];
  for (const ask of asks) {
    let answer: Answer | undefined;
    const { bytes } = await here.count(async () => {
      answer = await client.send(ask);
    });
    taken.push(bytes);
    expect(comparable(answer!)).toEqual(comparable(await here.direct.send(ask)));
  }
  return taken;
}

/** A process that has just been alone on the volume takes notice of others, and of what they did, within two seconds. */
function sinceNoticed(): Promise<void> {
  const from = performance.now();
  return eventually(() => performance.now() - from > 2000);
}

const READS: Ask[] = [
  {},
  { method: 'HEAD' },
  { range: `bytes=${PART - 10}-${PART + 10}` },
  { headers: ['Range', `bytes=5-${2 * PART + 5}`] },
  { query: '?partNumber=2' },
  { headers: CHECKED },
];

describe('a multipart upload', () => {
  it('in any order and in parallel, by way of two processes, is read without a body from S3', async () => {
    const here = await place();
    const other = await here.another();
    const clients = [here.client, other.client];
    const id = await create(here.client);
    const order = [3, 1, 2];
    const sent = await Promise.all(order.map((number, i) => part(clients[i % 2]!, id, number, PARTS[number - 1]!)));
    const named = order.map((number, i) => [number, sent[i]!.header('etag')] as const).sort(([a], [b]) => a - b);
    expect((await complete(other.client, id, named)).body.toString()).toContain('CompleteMultipartUploadResult');
    expect(await readBack(here, READS, other.client)).toEqual([1, 0, 0, 0, 0, 0]);
    await sinceNoticed();
    expect(await readBack(here, READS)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(other.core.status().counters).toMatchObject({ uploads_kept: 1, upload_reasons: {} });
  });

  it('with checksums answers these, for the whole and for each part', async () => {
    const here = await place();
    const algorithm = ['x-amz-checksum-algorithm', 'CRC32C'];
    const id = await create(here.client, [...ABOUT, ...algorithm]);
    const named: [number, string, string][] = [];
    for (const [i, body] of PARTS.entries()) {
      const sum = digest('crc32c', [body]).toString('base64');
      const sent = await part(here.client, id, i + 1, body, ['x-amz-checksum-crc32c', sum]);
      named.push([i + 1, sent.header('etag')!, `<ChecksumCRC32C>${sum}</ChecksumCRC32C>`]);
    }
    await complete(here.client, id, named);
    const reads = [
      { headers: CHECKED },
      { query: '?partNumber=2', headers: CHECKED },
      { method: 'HEAD', headers: CHECKED },
    ];
    expect(await readBack(here, reads)).toEqual([1, 0, 0]);
  });

  it('with a part sent again has the later one', async () => {
    const here = await place();
    const id = await create(here.client);
    await part(here.client, id, 1, PARTS[1]);
    const parts = [await part(here.client, id, 1, PARTS[0]), await part(here.client, id, 2, PARTS[2])];
    await complete(
      here.client,
      id,
      parts.map((sent, i) => [i + 1, sent.header('etag')]),
    );
    expect(await readBack(here, [{}])).toEqual([1]);
    expect(here.core.status().counters.uploads_kept).toBe(1);
  });

  it('of one small part is kept', async () => {
    const here = await place();
    const id = await create(here.client);
    const only = await part(here.client, id, 7, Buffer.from('small'));
    await complete(here.client, id, [[7, only.header('etag')]]);
    expect(await readBack(here, [{}, { method: 'HEAD' }, { range: 'bytes=1-2' }])).toEqual([1, 0, 0]);
    expect(here.core.status().counters.uploads_kept).toBe(1);
  });

  it.each([
    // What may have been done all the same costs a question.
    ['InvalidPart', 400, 0],
    ['InternalError', 500, 2],
  ])(
    'that is completed with <Error> %s in a 200 leaves what was cached, and its parts for the next try',
    async (code, status, asked) => {
      const here = await place();
      here.origin.put('data', 'k', 'the older one');
      await here.get();
      const id = await create(here.client);
      const only = await part(here.client, id, 1, PARTS[0]);
      here.origin.faults.on({ key: 'k', method: 'POST', times: 1 }, { keepAlive: 20, status, code, answerAt: 'body' });
      expect((await complete(here.client, id, [[1, only.header('etag')]])).body.toString()).toContain('<Error>');
      expect((await here.count(() => here.get())).requests).toBe(asked);
      await complete(here.client, id, [[1, only.header('etag')]]);
      expect(await readBack(here, [{}])).toEqual([1]);
    },
  );

  it.each<[string, (here: Place, id: string) => Promise<unknown>]>([
    ['that is aborted', (here, id) => here.client.send({ method: 'DELETE', query: `?uploadId=${id}` })],
    [
      'of which a part is copied',
      (here, id) => {
        here.origin.put('data', 'source', 'copied');
        const headers = ['x-amz-copy-source', '/data/source'];
        return here.client.send({ method: 'PUT', query: `?partNumber=2&uploadId=${id}`, headers });
      },
    ],
  ])('%s leaves nothing in the cache', async (_, act) => {
    const here = await place();
    const id = await create(here.client);
    await part(here.client, id, 1, PARTS[0]);
    expect((await filesUnder(`${here.cacheDir}/uploads`)).length).toBeGreaterThan(1);
    await act(here, id);
    expect(await filesUnder(`${here.cacheDir}/uploads`)).toEqual([]);
  });

  it('of which a part was copied is what readers get', async () => {
    const here = await place();
    here.origin.put('data', 'k', 'the older one');
    here.origin.put('data', 'source', 'copied');
    await here.get();
    const id = await create(here.client);
    const sent = await part(here.client, id, 1, PARTS[0]);
    const headers = ['x-amz-copy-source', '/data/source'];
    const copied = await here.client.send({ method: 'PUT', query: `?partNumber=2&uploadId=${id}`, headers });
    const etag = /<ETag>(.*?)<\/ETag>/.exec(copied.body.toString())![1]!;
    await complete(here.client, id, [
      [1, sent.header('etag')],
      [2, etag],
    ]);
    await readBack(here, [{}, { method: 'HEAD' }]);
  });
});
