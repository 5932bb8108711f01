import { describe, expect, it } from 'vitest';
import { type Fault, generatedBody } from '../origin/index.ts';
import { type Ask, type Client, eventually, MIB, type Place, startPlace } from './helpers.ts';

const HOUR = 3_600_000;
const NEW = Buffer.from('the new content of the object');
const OLD = generatedBody(100_000);

/** Ways to change `k` to NEW, each through the proxy; DELETE and tagging change something else. */
const WRITES: Record<string, { write: (client: Client) => Promise<unknown>; status: number | undefined }> = {
  'a PUT': { write: client => client.send({ method: 'PUT', body: NEW }), status: 200 },
  'a presigned PUT': { write: client => client.send({ method: 'PUT', body: NEW, expires: 60 }), status: 200 },
  'a PUT under another spelling of the key': {
    write: c => c.send({ method: 'PUT', key: '%6B', body: NEW }),
    status: 200,
  },
  'a copy': {
    write: client => client.send({ method: 'PUT', headers: ['x-amz-copy-source', '/data/source'] }),
    status: 200,
  },
  'a multipart upload': { write: multipart, status: 200 },
  'a DELETE': { write: client => client.send({ method: 'DELETE' }), status: 404 },
  'a DeleteObjects': {
    write: client =>
      client.send({
        method: 'POST',
        key: '',
        query: '?delete',
        body: Buffer.from('<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object></Delete>'),
      }),
    status: 404,
  },
  'a tagging': {
    write: client =>
      client.send({
        method: 'PUT',
        query: '?tagging',
        body: Buffer.from('<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>'),
      }),
    status: undefined,
  },
};

async function multipart(client: Client): Promise<void> {
  const begun = await client.send({ method: 'POST', query: '?uploads' });
  const id = encodeURIComponent(/<UploadId>(.*?)<\/UploadId>/.exec(begun.body.toString())![1]!);
  const part = await client.send({ method: 'PUT', query: `?partNumber=1&uploadId=${id}`, body: NEW });
  const list = `<Part><PartNumber>1</PartNumber><ETag>${part.header('etag')}</ETag></Part>`;
  const body = Buffer.from(`<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`);
  const done = await client.send({ method: 'POST', query: `?uploadId=${id}`, body });
  expect(done.body.toString()).toContain('CompleteMultipartUploadResult');
}

async function placeWith(ttl: number): Promise<Place> {
  const place = await startPlace({ cache: { get_ttl: ttl, head_ttl: ttl } });
  place.origin.put('data', 'k', OLD, { lastModified: Date.now() - HOUR });
  place.origin.put('data', 'source', NEW);
  return place;
}

const reads: Ask[] = [{}, { method: 'HEAD' }, { range: 'bytes=0-9' }];

describe.each(Object.entries(WRITES))('%s through the proxy', (_, { write, status }) => {
  async function expectNew(client: Client, { origin }: Place) {
    for (const ask of reads) {
      const before = origin.requestsFor('k').length;
      const answer = await client.send(ask);
      if (status === undefined) {
        // The bytes are the same, but S3 has been asked, and what it says of the object is what is told.
        expect(answer.header('x-amz-tagging-count')).toBe('1');
        expect(origin.requestsFor('k').length).toBeGreaterThanOrEqual(before);
      } else if (status === 200) {
        expect(answer.header('etag')).toBe(origin.object('data', 'k')!.etag);
        if (answer.body.length > 0) expect(NEW.subarray(0, answer.body.length).equals(answer.body)).toBe(true);
      } else expect(answer.status).toBe(status);
    }
  }

  it('is seen by the next read, at a ttl of an hour', async () => {
    const place = await placeWith(HOUR);
    const { client, get } = place;
    for (const ask of reads) await get(ask);
    await write(client);
    if (status === undefined) await sinceTagged(place);
    await expectNew(client, place);
  });

  it('is seen by another proxy on the directory: at once at ttl 0, within 2 s at any', async () => {
    for (const ttl of [0, HOUR]) {
      const place = await placeWith(ttl);
      const { client, get } = place;
      const other = await place.another();
      for (const ask of reads) {
        await get(ask);
        await other.client.send(ask);
      }
      await write(other.client);
      if (status === undefined) await sinceTagged(place);
      const at = performance.now();
      if (ttl > 0) await eventually(() => performance.now() - at > 2000);
      await expectNew(client, place);
      await expectNew(other.client, place);
    }
  }, 30_000);
});

/** S3 does not say in Last-Modified or ETag that tags were changed; a 304 of it carries the new count. */
async function sinceTagged({ origin }: Place): Promise<void> {
  expect(origin.object('data', 'k')!.tags.length).toBe(1);
}

describe('a write that S3 refuses', () => {
  it('leaves what is cached as it was', async () => {
    const { get, client, origin, count } = await placeWith(HOUR);
    await get();
    origin.faults.on({ key: 'k', method: 'PUT' }, { status: 403 });
    expect((await client.send({ method: 'PUT', body: NEW })).status).toBe(403);
    expect((await count(() => get())).requests).toBe(0);
  });

  it('by a 500, or without an answer, has an unknown outcome: S3 is asked', async () => {
    const asked: { fault: Fault; cost: object }[] = [
      { fault: { answerAt: 'done', status: 500 }, cost: { requests: 1, bodies: 1, bytes: NEW.length } },
      // About the bytes; and as they are the same, about all else that a write may change, with one of them.
      { fault: { drop: 'body' }, cost: { requests: 2, bytes: 1 } },
    ];
    for (const { fault, cost } of asked) {
      const { get, client, origin, count } = await placeWith(HOUR);
      await get();
      origin.faults.on({ key: 'k', method: 'PUT' }, fault);
      await client.send({ method: 'PUT', body: NEW });
      expect(await count(() => get())).toMatchObject(cost);
      expect((await count(() => get())).requests).toBe(0);
    }
  });
});

describe('a read that began before a write', () => {
  it('never makes its older version fresh, whether its answer comes before or after the next read', async () => {
    const { get, client, origin } = await placeWith(HOUR);
    const size = 20 * MIB;
    origin.put('data', 'k', generatedBody(size, 1));
    const slow = origin.faults.on({ key: 'k', method: 'GET', times: 1 }, { stallAfter: MIB });
    const older = get();
    await slow.struck;
    await client.send({ method: 'PUT', body: NEW });
    // A reader that comes after the write doesn't join the older flight, which is still running.
    expect((await get()).body.equals(NEW)).toBe(true);
    slow.release();
    expect((await older).body.equals(generatedBody(size, 1).read(0, size))).toBe(true);
    for (const ask of reads) {
      const answer = await get(ask);
      expect(answer.header('etag')).toBe(origin.object('data', 'k')!.etag);
    }
  });

  it('and whose answer S3 had decided on before it, but gives only after it, leaves only a candidate', async () => {
    const { get, client, origin, count } = await placeWith(HOUR);
    let open: () => void = () => undefined;
    const gate = new Promise<void>(resolve => {
      open = resolve;
    });
    const held = origin.faults.on({ key: 'k', method: 'GET', times: 1 }, { beforeHeaders: gate });
    const older = get();
    await held.struck;
    await client.send({ method: 'PUT', body: NEW });
    open();
    expect((await older).body.length).toBe(100_000);
    const seen = await count(async () => expect((await get()).body.equals(NEW)).toBe(true));
    expect(seen).toMatchObject({ requests: 1, bodies: 1 });
    expect((await count(() => get())).requests).toBe(0);
  });

  it('takes nothing from the upload that came meanwhile, whatever S3 answered to it', async () => {
    const older: { ask: Ask; before: (place: Place) => unknown }[] = [
      { ask: { method: 'HEAD' }, before: () => undefined },
      { ask: {}, before: () => undefined },
      // Gone, behind Cistern's back.
      { ask: {}, before: ({ direct }) => direct.send({ method: 'DELETE' }) },
      { ask: { method: 'HEAD' }, before: ({ direct }) => direct.send({ method: 'DELETE' }) },
    ];
    for (const { ask, before } of older) {
      const place = await placeWith(0);
      const { get, client, origin, count } = place;
      await get();
      await before(place);
      let open: () => void = () => undefined;
      const gate = new Promise<void>(resolve => {
        open = resolve;
      });
      const held = origin.faults.on({ key: 'k', times: 1 }, { beforeHeaders: gate });
      const answer = get(ask);
      await held.struck;
      await client.send({ method: 'PUT', body: NEW });
      open();
      await answer;
      const seen = await count(async () => expect((await get()).body.equals(NEW)).toBe(true));
      expect(seen, JSON.stringify(ask)).toMatchObject({ requests: 1, bytes: 1 });
    }
  });

  it('is followed by nobody who comes after the write', async () => {
    const { get, client, origin } = await placeWith(HOUR);
    let open: () => void = () => undefined;
    const gate = new Promise<void>(resolve => {
      open = resolve;
    });
    const held = origin.faults.on({ key: 'k', method: 'GET', times: 1 }, { beforeHeaders: gate });
    const older = get();
    await held.struck;
    await client.send({ method: 'PUT', body: NEW });
    const after = await Promise.all([get(), get(), get({ range: 'bytes=0-3' })]);
    expect(after.map(answer => answer.body.toString('latin1', 0, 4))).toEqual(['the ', 'the ', 'the ']);
    open();
    await older;
    expect((await get()).body.equals(NEW)).toBe(true);
  });
});

it('a write is not forgotten when its object has left memory while an older read was running', async () => {
  const place = await startPlace({ cache: { get_ttl: HOUR, metadata_cache: { max_entries: 1 } } });
  const { get, client, origin } = place;
  origin.put('data', 'k', OLD);
  origin.put('data', 'other', 'other');
  let open: () => void = () => undefined;
  const gate = new Promise<void>(resolve => {
    open = resolve;
  });
  const held = origin.faults.on({ key: 'k', method: 'GET', times: 1 }, { beforeHeaders: gate });
  const older = get();
  await held.struck;
  await get({ key: 'other' });
  await client.send({ method: 'PUT', body: NEW });
  await get({ key: 'other' });
  open();
  await older;
  expect((await get()).body.equals(NEW)).toBe(true);
  expect((await get()).body.equals(NEW)).toBe(true);
});
