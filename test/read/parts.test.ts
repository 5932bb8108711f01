import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { Store } from '../../proxy-core/store/index.ts';
import { generatedBody } from '../origin/index.ts';
import {
  bytesOf,
  type Client,
  collect,
  comparable,
  eventually,
  filesUnder,
  MIB,
  type Place,
  startPlace,
} from './helpers.ts';

const MODE = { headers: ['x-amz-checksum-mode', 'ENABLED'] };

/** A multipart object, by default with a checksum for each part, uploaded as an SDK does, past the proxy. */
async function uploadParts(place: Place, key: string, parts: readonly Buffer[], checked = true) {
  await (await sendParts(place, key, parts, checked))();
}

/** @returns what completes the upload */
async function sendParts({ direct }: Place, key: string, parts: readonly Buffer[], checked: boolean) {
  const begun = await direct.send({
    key,
    method: 'POST',
    query: '?uploads',
    headers: checked ? ['x-amz-checksum-algorithm', 'SHA256'] : [],
  });
  const id = /<UploadId>(.*?)<\/UploadId>/.exec(begun.body.toString())![1]!;
  const lines: string[] = [];
  for (const [i, body] of parts.entries()) {
    const sum = createHash('sha256').update(body).digest('base64');
    const put = await direct.send({
      key,
      method: 'PUT',
      query: `?partNumber=${i + 1}&uploadId=${encodeURIComponent(id)}`,
      headers: checked ? ['x-amz-checksum-sha256', sum] : [],
      body,
    });
    expect(put.status).toBe(200);
    const named = checked ? `<ChecksumSHA256>${sum}</ChecksumSHA256>` : '';
    lines.push(`<Part><PartNumber>${i + 1}</PartNumber><ETag>${put.header('etag')}</ETag>${named}</Part>`);
  }
  const body = Buffer.from(`<CompleteMultipartUpload>${lines.join('')}</CompleteMultipartUpload>`);
  return async () => {
    const done = await direct.send({ key, method: 'POST', query: `?uploadId=${encodeURIComponent(id)}`, body });
    expect(done.status).toBe(200);
  };
}

const content = (size: number, seed: number) => generatedBody(size, seed).read(0, size);

describe('partNumber', () => {
  it('comes to its end, from S3, where all that was kept of it is purged in the middle', async () => {
    const opened = vi.spyOn(Store.prototype, 'open');
    const { client, get, origin } = await startPlace({ cache: { get_ttl: 3_600_000 } });
    const store = opened.mock.contexts[0] as Store;
    opened.mockRestore();
    const body = generatedBody(36 * MIB);
    origin.put('data', 'k', body, { partSize: 32 * MIB });
    const ask = { query: '?partNumber=1' };
    await get(ask);
    const slow = await client.begin(ask);
    const began = await bytesOf(slow, 100);
    for await (const _ of store.care.purge(new AbortController().signal, { bucket: 'data', prefix: '' }, false));
    const rest = await collect(slow);
    expect(rest.complete).toBe(true);
    expect(Buffer.concat([began, rest.body]).equals(body.read(0, 32 * MIB))).toBe(true);
  });

  it('adds to the store what whole reads and ranges take from it, and is served from it, with its own checksums', async () => {
    const place = await startPlace();
    const parts = [content(5 * MIB, 1), content(6 * MIB, 2), content(70_001, 3)];
    await uploadParts(place, 'k', parts);
    const { get, direct, count } = place;
    for (const number of [2, 3, 1]) {
      const ask = { query: `?partNumber=${number}`, ...MODE };
      const expected = comparable(await direct.send(ask));
      expect(expected.headers.join()).toContain('x-amz-mp-parts-count: 3');
      expect(comparable(await get(ask))).toEqual(expected);
      expect(await count(async () => expect(comparable(await get(ask))).toEqual(expected))).toMatchObject({
        requests: 0,
      });
    }
    const whole = comparable(await direct.send());
    expect((await count(async () => expect(comparable(await get())).toEqual(whole))).bytes).toBe(0);
    // The checksums of the whole can't be known from parts: S3 is asked once more.
    const wholeWithSums = comparable(await direct.send(MODE));
    expect(wholeWithSums.headers.join()).toContain('x-amz-checksum-sha256');
    expect(comparable(await get(MODE))).toEqual(wholeWithSums);
    expect(await count(async () => expect(comparable(await get(MODE))).toEqual(wholeWithSums))).toMatchObject({
      requests: 0,
    });
  });

  it('of an object that was put in one piece is served from the store, too', async () => {
    const { origin, get, direct, count } = await startPlace();
    for (const size of [1, 70_000]) {
      const key = `k${size}`;
      origin.put('data', key, generatedBody(size));
      const ask = { key, query: '?partNumber=1' };
      const expected = comparable(await direct.send(ask));
      expect(comparable(await get(ask))).toEqual(expected);
      expect(await count(async () => expect(comparable(await get(ask))).toEqual(expected), key)).toMatchObject({
        requests: 0,
      });
    }
  });

  it('of a part that is not there is told by S3', async () => {
    const place = await startPlace();
    await uploadParts(place, 'k', [content(5 * MIB, 1), content(10, 2)]);
    await place.get();
    const answer = await place.get({ query: '?partNumber=3' });
    expect(answer.status).toBe(416);
    expect(answer.body.toString()).toContain('InvalidPartNumber');
  });

  it('whose bytes were written again has the checksums of that, after a restart, too', async () => {
    let ahead = 0;
    const place = await startPlace({ cache: { get_ttl: 0 }, origin: { now: () => Date.now() + ahead } });
    const parts = [content(5 * MIB, 1), content(10, 2)];
    const ask = { query: '?partNumber=2', ...MODE };
    const writeAndRead = async (checked: boolean, client: Client) => {
      await uploadParts(place, 'k', parts, checked);
      const direct = await place.direct.send(ask);
      expect(direct.header('x-amz-checksum-sha256') !== undefined).toBe(checked);
      // By this one it is known that they were written again, and nothing of parts.
      await client.send();
      expect(comparable(await client.send(ask))).toEqual(comparable(direct));
      const again = await place.count(async () =>
        expect(comparable(await client.send(ask))).toEqual(comparable(direct)),
      );
      expect(again.bodies).toBe(0);
      ahead += 5000;
      return direct.header('etag');
    };
    const etag = await writeAndRead(true, place.client);
    expect(await writeAndRead(false, place.client)).toBe(etag);
    await place.core.stop();
    const { client } = await place.another();
    expect(await writeAndRead(true, client)).toBe(etag);
    expect(await writeAndRead(false, client)).toBe(etag);
  });

  it('of an older version with the same bytes, current again, has the checksums and metadata of that', async () => {
    let ahead = 0;
    const origin = { now: () => Date.now() + ahead, buckets: { data: { versioned: true } } };
    const place = await startPlace({ cache: { get_ttl: 0 }, origin });
    const parts = [content(5 * MIB, 1), content(10, 2)];
    const deleteNewest = async () => {
      const versionId = (await place.direct.send({ method: 'HEAD' })).header('x-amz-version-id');
      const done = await place.client.send({ method: 'DELETE', query: `?versionId=${versionId}` });
      expect(done.status).toBe(204);
    };
    for (const reads of [0, 1]) {
      await uploadParts(place, 'k', parts, false);
      ahead += 5000;
      await uploadParts({ ...place, direct: place.client }, 'k', parts);
      for (let i = 0; i < reads; i++) await place.client.send();
      await deleteNewest();
      for (const ask of [{ headers: ['Range', 'bytes=0-9'] }, { query: '?partNumber=2', ...MODE }, MODE])
        expect(comparable(await place.client.send(ask))).toEqual(comparable(await place.direct.send(ask)));
      await place.client.send({ method: 'DELETE' });
    }
  });

  it('whose bytes came again by an upload that was begun before, past the proxy, has the checksums of that', async () => {
    let ahead = 0;
    const place = await startPlace({ cache: { get_ttl: 0 }, origin: { now: () => Date.now() + ahead } });
    const parts = [content(5 * MIB, 1), content(10, 2)];
    const complete = await sendParts(place, 'k', parts, false);
    ahead += 5000;
    await uploadParts({ ...place, direct: place.client }, 'k', parts);
    await complete();
    for (const ask of [{ query: '?partNumber=2' }, { query: '?partNumber=1', ...MODE }, MODE])
      expect(comparable(await place.client.send(ask))).toEqual(comparable(await place.direct.send(ask)));
  });

  it('comes after a restart from the disk', async () => {
    const place = await startPlace();
    await uploadParts(place, 'k', [content(5 * MIB, 1), content(10, 2)]);
    const ask = { query: '?partNumber=2', ...MODE };
    const first = comparable(await place.get(ask));
    await eventually(async () => (await filesUnder(place.cacheDir)).some(path => path.endsWith('part-2')));
    await place.core.stop();
    const { client } = await place.another();
    const seen = await place.count(async () => expect(comparable(await client.send(ask))).toEqual(first));
    expect(seen).toMatchObject({ bodies: 0, requests: 1 });
  });
});

describe('checksums', () => {
  it('are sent with a whole object only to who asked for them, and never with a range that was cut out of it', async () => {
    const place = await startPlace();
    const { get, direct, count } = place;
    const body = content(100_000, 1);
    const sum = createHash('sha256').update(body).digest('base64');
    await direct.send({ method: 'PUT', body, headers: ['x-amz-checksum-sha256', sum] });
    const [withSums, without] = [comparable(await direct.send(MODE)), comparable(await direct.send())];
    expect(comparable(await get())).toEqual(without);
    // Not known yet: S3 is asked once.
    expect((await count(async () => expect(comparable(await get(MODE))).toEqual(withSums))).bodies).toBe(1);
    const seen = await count(async () => {
      expect(comparable(await get(MODE))).toEqual(withSums);
      expect(comparable(await get())).toEqual(without);
      const range = await get({ ...MODE, range: 'bytes=5-99000' });
      expect(range.header('x-amz-checksum-sha256')).toBeUndefined();
      expect(range.body.equals(body.subarray(5, 99_001))).toBe(true);
      expect((await get({ ...MODE, method: 'HEAD' })).header('x-amz-checksum-sha256')).toBe(sum);
      expect((await get({ method: 'HEAD' })).header('x-amz-checksum-sha256')).toBeUndefined();
    });
    expect(seen.requests).toBe(0);
  });

  it('that an object does not have are asked for once', async () => {
    const { origin, get, count } = await startPlace();
    origin.put('data', 'k', generatedBody(100_000));
    expect((await count(() => get(MODE))).bodies).toBe(1);
    expect((await count(() => get(MODE))).requests).toBe(0);
    expect((await count(() => get())).requests).toBe(0);
  });

  it('are learnt by HEAD as well, and survive a range read without them', async () => {
    const place = await startPlace();
    const { get, direct, count } = place;
    const body = content(100_000, 1);
    const sum = createHash('sha256').update(body).digest('base64');
    await direct.send({ method: 'PUT', body, headers: ['x-amz-checksum-sha256', sum] });
    await get({ ...MODE, method: 'HEAD' });
    await get({ range: 'bytes=0-9' });
    await get();
    const expected = comparable(await direct.send(MODE));
    const seen = await count(async () => expect(comparable(await get(MODE))).toEqual(expected));
    expect(seen.requests).toBe(0);
  });
});
