import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALICE, chunksOf, generatedBody, signHeaders, startOrigin, type TestOrigin } from './index.ts';
import { sdkClient } from './sdk.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin();
});
afterAll(() => origin.stop());

const MIB = 2 ** 20;

describe('an upload that was announced', () => {
  it('is not kept a second time', async () => {
    const body = generatedBody(64 * MIB, 3);
    origin.expect('data', 'large', body);
    const before = process.memoryUsage().arrayBuffers;
    const target = '/data/large';
    const headers = signHeaders(ALICE, {
      method: 'PUT',
      host: origin.address,
      target,
      payloadHash: 'UNSIGNED-PAYLOAD',
      headers: ['Content-Length', String(body.length)],
    });
    const sent = request({ port: origin.port, method: 'PUT', path: target, headers, setHost: false });
    Readable.from(chunksOf(body)).pipe(sent);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    answer.resume();
    expect(answer.statusCode).toBe(200);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40 * MIB);
    const stored = origin.object('data', 'large')!.body;
    expect(stored.length).toBe(body.length);
    expect(stored.read(50 * MIB, 50 * MIB + 99).equals(body.read(50 * MIB, 50 * MIB + 99))).toBe(true);
  });

  it.each([
    ['other in the middle', 500_000, 1_000_000],
    ['longer', 1_000_000, 1_000_001],
    ['shorter', 400_000, 400_000],
  ])('is stored as it comes when it is %s', async (_, same, length) => {
    const body = generatedBody(1_000_000, 4);
    origin.expect('data', 'other', body);
    const content = Buffer.alloc(length, 1);
    body.read(0, same).copy(content);
    const target = '/data/other';
    const headers = signHeaders(ALICE, {
      method: 'PUT',
      host: origin.address,
      target,
      body: content,
      headers: ['Content-Length', String(length)],
    });
    const sent = request({ port: origin.port, method: 'PUT', path: target, headers, setHost: false });
    sent.end(content);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    answer.resume();
    expect(answer.statusCode).toBe(200);
    const stored = origin.object('data', 'other')!.body;
    expect(stored.read(0, stored.length).equals(content)).toBe(true);
  });

  it('may come in parts', async () => {
    const body = generatedBody(12 * MIB, 5);
    origin.expect('data', 'parts', body, 5 * MIB);
    const s3 = sdkClient(origin);
    const at = { Bucket: 'data', Key: 'parts' };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(at));
    const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
    for (const PartNumber of [1, 2, 3]) {
      const start = (PartNumber - 1) * 5 * MIB;
      const Body = body.read(start, Math.min(start + 5 * MIB, body.length));
      const { ETag } = await s3.send(new UploadPartCommand({ ...at, UploadId, PartNumber, Body }));
      Parts.push({ ETag, PartNumber });
    }
    await s3.send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts } }));
    const stored = origin.object('data', 'parts')!.body;
    expect(stored.read(0, stored.length).equals(body.read(0, body.length))).toBe(true);
  });
});
