import { createHash, randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type S3ClientConfig,
  UploadPartCommand,
  type UploadPartCommandInput,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALICE, digest, startOrigin, type TestOrigin } from './index.ts';
import { bytesOf, refusal, sdkClient } from './sdk.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin({ buckets: { data: {}, open: { anonymous: 'read' } } });
});
afterAll(() => origin.stop());

const client = () => sdkClient(origin);

describe('a multipart upload', () => {
  it('assembles a multipart upload, copied part included, and serves it by part', async () => {
    const Bucket = 'data';
    const Key = 'multi';
    const s3 = client();
    const [one, two, three] = [randomBytes(5 << 20), randomBytes(5 << 20), randomBytes(10)];
    origin.put('data', 'source', Buffer.concat([Buffer.from('skip'), two]));
    const { UploadId } = await s3.send(
      new CreateMultipartUploadCommand({ Bucket, Key, ChecksumAlgorithm: 'CRC32', ContentType: 'text/multi' }),
    );
    const p1 = await s3.send(
      new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: one, ChecksumAlgorithm: 'CRC32' }),
    );
    const p2 = await s3.send(
      new UploadPartCopyCommand({
        Bucket,
        Key,
        UploadId,
        PartNumber: 2,
        CopySource: 'data/source',
        CopySourceRange: `bytes=4-${two.length + 3}`,
      }),
    );
    const p3 = await s3.send(
      new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 3, Body: three, ChecksumAlgorithm: 'CRC32' }),
    );
    const listed = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    expect(listed.Parts?.map(part => part.Size)).toEqual([one.length, two.length, three.length]);
    expect((await s3.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads?.map(u => u.Key)).toContain(Key);
    const Parts = [p1, p2.CopyPartResult!, p3].map(({ ETag, ChecksumCRC32 }, i) => ({
      ETag,
      ChecksumCRC32,
      PartNumber: i + 1,
    }));
    const done = await s3.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    );
    expect(done.ETag).toMatch(/^"[0-9a-f]{32}-3"$/);
    expect(done.ChecksumCRC32).toMatch(/-3$/);
    const whole = await s3.send(new GetObjectCommand({ Bucket, Key }));
    expect((await bytesOf(whole.Body)).equals(Buffer.concat([one, two, three]))).toBe(true);
    expect(whole.ContentType).toBe('text/multi');
    const part = await s3.send(new GetObjectCommand({ Bucket, Key, PartNumber: 3 }));
    expect((await bytesOf(part.Body)).equals(three)).toBe(true);
    expect(part).toMatchObject({ PartsCount: 3, ETag: done.ETag });
    expect(await refusal(s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })))).toEqual([
      404,
      'NoSuchUpload',
    ]);
  });

  it('refuses to complete with a wrong part, out of order, or with a small part in the middle', async () => {
    const Bucket = 'data';
    const Key = 'wrong';
    const s3 = client();
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const a = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'a' }));
    const b = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 2, Body: 'b' }));
    const complete = (Parts: { ETag: string | undefined; PartNumber: number }[]) =>
      refusal(s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } })));
    const [first, second] = [
      { ETag: a.ETag, PartNumber: 1 },
      { ETag: b.ETag, PartNumber: 2 },
    ];
    expect((await complete([{ ETag: b.ETag, PartNumber: 1 }]))[1]).toBe('InvalidPart');
    expect((await complete([second, first]))[1]).toBe('InvalidPartOrder');
    expect((await complete([first, second]))[1]).toBe('EntityTooSmall');
  });

  const MIB = 2 ** 20;
  const Bucket = 'data';

  async function begin(Key: string, more: Partial<CreateMultipartUploadCommandInput> = {}, settings?: S3ClientConfig) {
    const s3 = sdkClient(origin, ALICE, settings);
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...more }));
    const at = { Bucket, Key, UploadId };
    const parts = new Map<number, CompletedPart>();
    return {
      s3,
      at,
      parts,
      async part(PartNumber: number, Body: Buffer, about: Partial<UploadPartCommandInput> = {}) {
        const { $metadata: _, ...done } = await s3.send(new UploadPartCommand({ ...at, PartNumber, Body, ...about }));
        parts.set(PartNumber, { ...done, PartNumber });
      },
      complete(about: Partial<CompleteMultipartUploadCommandInput> = {}) {
        const Parts = [...parts.values()].sort((a, b) => a.PartNumber! - b.PartNumber!);
        return s3.send(new CompleteMultipartUploadCommand({ ...at, MultipartUpload: { Parts }, ...about }));
      },
    };
  }

  it('takes parts in any order, at the same time, more than once, and leaves out what is not named', async () => {
    const upload = await begin('any-order');
    const [one, two] = [randomBytes(5 * MIB), randomBytes(5 * MIB)];
    await upload.part(1, randomBytes(100));
    await Promise.all([upload.part(9, Buffer.from('the end')), upload.part(4, two), upload.part(1, one)]);
    await upload.part(7, randomBytes(10));
    upload.parts.delete(7);
    const done = await upload.complete();
    const digests = [one, two, Buffer.from('the end')].map(part => createHash('md5').update(part).digest());
    expect(done.ETag).toBe(`"${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-3"`);
    const got = await upload.s3.send(new GetObjectCommand({ Bucket, Key: 'any-order' }));
    expect((await bytesOf(got.Body)).equals(Buffer.concat([one, two, Buffer.from('the end')]))).toBe(true);
    const part = await upload.s3.send(new HeadObjectCommand({ Bucket, Key: 'any-order', PartNumber: 2 }));
    expect(part).toMatchObject({ PartsCount: 3, ContentLength: 5 * MIB });
    expect(await refusal(upload.complete())).toEqual([404, 'NoSuchUpload']);
  });

  it('is gone when it is aborted', async () => {
    const upload = await begin('aborted');
    await upload.part(1, Buffer.from('a'));
    await upload.s3.send(new AbortMultipartUploadCommand(upload.at));
    expect(await refusal(upload.part(2, Buffer.from('b')))).toEqual([404, 'NoSuchUpload']);
    expect(await refusal(upload.complete())).toEqual([404, 'NoSuchUpload']);
    expect(await refusal(upload.s3.send(new ListPartsCommand(upload.at)))).toEqual([404, 'NoSuchUpload']);
    expect(origin.object(Bucket, 'aborted')).toBeUndefined();
  });

  it('says of when it was begun, not completed, that it was last modified', async () => {
    const begun = Math.floor(Date.now() / 1000) * 1000;
    let now = begun;
    const slow = await startOrigin({ now: () => now });
    try {
      const at = { Bucket, Key: 'k' };
      const s3 = sdkClient(slow);
      const { UploadId } = await s3.send(new CreateMultipartUploadCommand(at));
      now += 60_000;
      const { ETag } = await s3.send(new UploadPartCommand({ ...at, UploadId, PartNumber: 1, Body: 'x' }));
      const MultipartUpload = { Parts: [{ ETag, PartNumber: 1 }] };
      await s3.send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload }));
      expect(slow.object(Bucket, 'k')!.lastModified).toBe(begun);
    } finally {
      await slow.stop();
    }
  });

  it.each([
    ['CRC32', 'COMPOSITE'],
    ['CRC32', 'FULL_OBJECT'],
    ['CRC32C', 'COMPOSITE'],
    ['CRC32C', 'FULL_OBJECT'],
    ['CRC64NVME', 'FULL_OBJECT'],
    ['SHA1', 'COMPOSITE'],
    ['SHA256', 'COMPOSITE'],
  ] as const)('has a %s checksum that is %s', async (ChecksumAlgorithm, ChecksumType) => {
    const Key = `${ChecksumAlgorithm}-${ChecksumType}`;
    const upload = await begin(Key, { ChecksumAlgorithm, ChecksumType });
    const pieces = [randomBytes(5 * MIB), randomBytes(70_001)];
    for (const [i, piece] of pieces.entries()) await upload.part(i + 1, piece, { ChecksumAlgorithm });
    const name = ChecksumAlgorithm.toLowerCase() as Lowercase<typeof ChecksumAlgorithm>;
    const expected =
      ChecksumType === 'FULL_OBJECT'
        ? digest(name, pieces).toString('base64')
        : `${digest(
            name,
            pieces.map(piece => digest(name, [piece])),
          ).toString('base64')}-2`;
    const wrong = { [`Checksum${ChecksumAlgorithm}`]: digest(name, []).toString('base64') };
    expect(await refusal(upload.complete(wrong))).toEqual([400, 'BadDigest']);
    expect(await upload.complete({ ChecksumType })).toMatchObject({ [`Checksum${ChecksumAlgorithm}`]: expected });
    const whole = await upload.s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
    expect(whole).toMatchObject({ [`Checksum${ChecksumAlgorithm}`]: expected, ChecksumType });
    expect((await bytesOf(whole.Body)).equals(Buffer.concat(pieces))).toBe(true);
    const part = await upload.s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED', PartNumber: 2 }));
    const ofPart = digest(name, [pieces[1]!]).toString('base64');
    expect(part).toMatchObject({ [`Checksum${ChecksumAlgorithm}`]: ofPart, ChecksumType });
    await bytesOf(part.Body);
  });

  it('that names no algorithm gets the CRC64NVME of the whole', async () => {
    const upload = await begin('bare', {}, { requestChecksumCalculation: 'WHEN_REQUIRED' });
    const pieces = [randomBytes(5 * MIB), randomBytes(7)];
    for (const [i, piece] of pieces.entries()) await upload.part(i + 1, piece);
    const ChecksumCRC64NVME = digest('crc64nvme', pieces).toString('base64');
    expect(await upload.complete()).toMatchObject({ ChecksumCRC64NVME, ChecksumType: 'FULL_OBJECT' });
  });

  it('is refused where checksums, their kinds or the size do not go together', async () => {
    const wrong = (ChecksumAlgorithm: 'SHA1' | 'CRC64NVME', ChecksumType: 'FULL_OBJECT' | 'COMPOSITE') =>
      refusal(begin('wrong-kind', { ChecksumAlgorithm, ChecksumType }));
    expect(await wrong('SHA1', 'FULL_OBJECT')).toEqual([400, 'InvalidRequest']);
    expect(await wrong('CRC64NVME', 'COMPOSITE')).toEqual([400, 'InvalidRequest']);
    const upload = await begin('wrong-kind', { ChecksumAlgorithm: 'SHA256' });
    const other = upload.part(1, Buffer.from('a'), { ChecksumAlgorithm: 'CRC32' });
    expect(await refusal(other)).toEqual([400, 'InvalidRequest']);
    await upload.part(1, Buffer.from('a'), { ChecksumAlgorithm: 'SHA256' });
    const [{ ETag, ChecksumSHA256 } = {}] = [...upload.parts.values()];
    const named = (part: object) =>
      refusal(upload.complete({ MultipartUpload: { Parts: [{ PartNumber: 1, ...part }] } }));
    expect(await named({ ETag })).toEqual([400, 'InvalidRequest']);
    expect(await named({ ETag, ChecksumSHA256: 'x' })).toEqual([400, 'InvalidPart']);
    expect(await refusal(upload.complete({ MpuObjectSize: 2 }))).toEqual([400, 'InvalidRequest']);
    expect(await refusal(upload.complete({ IfMatch: '"other"' }))).toEqual([404, 'NoSuchKey']);
    expect(
      (await upload.complete({ MultipartUpload: { Parts: [{ PartNumber: 1, ETag, ChecksumSHA256 }] } })).ETag,
    ).toMatch(/-1"$/);
  });

  it('lists its parts, and a bucket its uploads, in pages', async () => {
    const upload = await begin('paged');
    for (const number of [3, 1, 10]) await upload.part(number, Buffer.from(String(number)));
    const first = await upload.s3.send(new ListPartsCommand({ ...upload.at, MaxParts: 2 }));
    expect([first.Parts?.map(part => part.PartNumber), first.IsTruncated]).toEqual([[1, 3], true]);
    const PartNumberMarker = first.NextPartNumberMarker;
    const second = await upload.s3.send(new ListPartsCommand({ ...upload.at, PartNumberMarker }));
    expect([second.Parts?.map(part => part.PartNumber), second.IsTruncated]).toEqual([[10], false]);
    const again = await begin('paged');
    const other = await begin('paged-2');
    const seen: (string | undefined)[] = [];
    let markers: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
    for (let more: boolean | undefined = true; more; ) {
      const page = await upload.s3.send(
        new ListMultipartUploadsCommand({ Bucket, Prefix: 'paged', MaxUploads: 1, ...markers }),
      );
      seen.push(...(page.Uploads ?? []).map(each => each.UploadId));
      markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
      more = page.IsTruncated;
    }
    expect(seen).toEqual([upload, again, other].map(each => each.at.UploadId));
  });
});
