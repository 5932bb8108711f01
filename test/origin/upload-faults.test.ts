import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exchangeRaw, requestText } from './exchange.ts';
import { ALICE, signHeaders, startOrigin, type TestOrigin } from './index.ts';
import { refusal, sdkClient } from './sdk.ts';

let origin: TestOrigin;
beforeEach(async () => {
  origin = await startOrigin();
  origin.put('data', 'k', 'before');
});
afterEach(() => {
  origin.faults.clear();
  return origin.stop();
});

const BODY = Buffer.alloc(200_000, 'new');
const content = (key = 'k') => {
  const object = origin.object('data', key);
  return object && createHash('md5').update(object.body.read(0, object.body.length)).digest('hex');
};
const md5 = (bytes: Buffer | string) => createHash('md5').update(bytes).digest('hex');

function headOfPut(headers: readonly string[] = [], body = BODY): string {
  const signed = signHeaders(ALICE, {
    method: 'PUT',
    host: origin.address,
    target: '/data/k',
    payloadHash: 'UNSIGNED-PAYLOAD',
    headers: ['Content-Length', String(body.length), ...headers],
  });
  return requestText('PUT', '/data/k', signed);
}

const put = (headers: readonly string[] = []) =>
  exchangeRaw(origin.port, Buffer.concat([Buffer.from(headOfPut(headers), 'latin1'), BODY]));

describe('a write that fails', () => {
  it('is refused before its body is read: a client that waits for 100 is never told to go on', async () => {
    origin.faults.on({ key: 'k' }, { status: 403, answerAt: 'head' });
    const answer = await exchangeRaw(origin.port, headOfPut(['Expect', '100-continue']));
    expect(answer.status).toBe(403);
    expect(answer.head).toMatch(/connection: close/i);
    expect(origin.requests[0]!.bytesReceived).toBe(0);
    expect(content()).toBe(md5('before'));
  });

  it('is refused when its body is in, and nothing is changed', async () => {
    origin.faults.on({ key: 'k' }, { status: 503, answerAt: 'body' });
    expect(await put()).toMatchObject({ status: 503 });
    expect(origin.requests[0]!.bytesReceived).toBe(BODY.length);
    expect(content()).toBe(md5('before'));
  });

  it('is done and yet answered with an error, or not at all', async () => {
    origin.faults.on({ key: 'k', times: 1 }, { status: 500 });
    expect((await put()).status).toBe(500);
    expect(content()).toBe(md5(BODY));
    origin.put('data', 'k', 'before');
    origin.faults.on({ key: 'k', times: 1 }, { drop: 'done' });
    expect((await put()).status).toBe(0);
    expect(content()).toBe(md5(BODY));
  });

  it('is cut when its body is in, or in the middle of it, and nothing is changed', async () => {
    origin.faults.on({ key: 'k', times: 1 }, { drop: 'body' });
    expect((await put()).status).toBe(0);
    origin.faults.on({ key: 'k', times: 1 }, { resetUploadAfter: 100_000 });
    expect(await put()).toMatchObject({ status: 0, end: 'reset' });
    await origin.waitFor(record => record.state === 'aborted' && record.bytesReceived < BODY.length);
    expect(content()).toBe(md5('before'));
  });
});

describe('a write that waits', () => {
  it('has its body in and is not done, until a promise resolves', async () => {
    let open = () => {};
    const gate = new Promise<void>(resolve => {
      open = resolve;
    });
    const held = origin.faults.on({ key: 'k' }, { beforeWrite: gate });
    const writing = put();
    await held.struck;
    expect(origin.requests[0]).toMatchObject({ bytesReceived: BODY.length, status: 0 });
    expect(content()).toBe(md5('before'));
    open();
    expect((await writing).status).toBe(200);
    expect(content()).toBe(md5(BODY));
  });

  it('is done and not answered, until a promise resolves', async () => {
    let open = () => {};
    const gate = new Promise<void>(resolve => {
      open = resolve;
    });
    const held = origin.faults.on({ key: 'k' }, { beforeHeaders: gate });
    const writing = put();
    await held.struck;
    expect([content(), origin.requests[0]!.status]).toEqual([md5(BODY), 0]);
    open();
    expect((await writing).status).toBe(200);
  });

  it('reads no further than it is told to, so that the client can send no more', async () => {
    const stop = origin.faults.on({ key: 'k' }, { stopReadingAfter: 1_000_000 });
    const size = 64 * 2 ** 20;
    const sent = httpRequest({
      port: origin.port,
      method: 'PUT',
      path: '/data/k',
      headers: signHeaders(ALICE, {
        method: 'PUT',
        host: origin.address,
        target: '/data/k',
        payloadHash: 'UNSIGNED-PAYLOAD',
        headers: ['Content-Length', String(size)],
      }),
    });
    sent.end(Buffer.alloc(size, 1));
    await stop.struck;
    const { bytesReceived } = origin.requests.at(-1)!;
    expect(bytesReceived).toBeGreaterThanOrEqual(1_000_000);
    expect(bytesReceived).toBeLessThan(1_100_000);
    expect(sent.writableLength).toBeGreaterThan(size / 2);
    stop.release();
    const [answer] = await once(sent, 'response');
    expect(answer.statusCode).toBe(200);
    answer.resume();
    expect(origin.object('data', 'k')!.body.length).toBe(size);
  });

  it('reads slowly', async () => {
    origin.faults.on({ key: 'k' }, { readRate: 1_000_000 });
    const started = performance.now();
    expect((await put()).status).toBe(200);
    expect(performance.now() - started).toBeGreaterThan(180);
  });
});

describe('200 before it is known what comes of it', () => {
  async function completion() {
    const s3 = sdkClient(origin);
    const at = { Bucket: 'data', Key: 'k' };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(at));
    const { ETag } = await s3.send(new UploadPartCommand({ ...at, UploadId, PartNumber: 1, Body: BODY }));
    const MultipartUpload = { Parts: [{ ETag, PartNumber: 1 }] };
    return () => s3.send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload }));
  }

  it.each(['space', 'declaration'] as const)('a completion is done and told behind white space (%s)', async way => {
    const complete = await completion();
    let open = () => {};
    const gate = new Promise<void>(resolve => {
      open = resolve;
    });
    const fault = origin.faults.on({ key: 'k', method: 'POST' }, { keepAlive: gate, keepAliveBy: way });
    const completing = complete();
    await fault.struck;
    const record = await origin.waitFor(r => r.method === 'POST' && r.path.includes('uploadId') && r.status === 200);
    expect(record.state).toBe('running');
    expect(content()).toBe(md5('before'));
    open();
    expect((await completing).ETag).toBe(origin.object('data', 'k')!.etag);
    expect(content()).toBe(md5(BODY));
  });

  it('a completion or a copy fails in the body of a 200, and nothing is changed', async () => {
    const complete = await completion();
    const late = { keepAlive: 20, status: 500, code: 'InternalError', answerAt: 'body' } as const;
    const fault = origin.faults.on({ key: 'k' }, late);
    expect((await refusal(complete()))[1]).toBe('InternalError');
    expect(fault.hits).toBe(1);
    origin.faults.clear();
    origin.faults.on({ key: 'k' }, { status: 200, code: 'SlowDown', answerAt: 'body' });
    origin.put('data', 'source', BODY);
    const copy = new CopyObjectCommand({ Bucket: 'data', Key: 'k', CopySource: 'data/source' });
    expect((await refusal(sdkClient(origin).send(copy)))[1]).toBe('SlowDown');
    expect(content()).toBe(md5('before'));
    origin.faults.clear();
    expect((await complete()).ETag).toMatch(/-1"$/);
  });

  it('what S3 itself refuses then comes as an error in the body, with status 200', async () => {
    origin.faults.on({ key: 'k', method: 'POST', when: record => record.path.includes('uploadId') }, { keepAlive: 0 });
    const s3 = sdkClient(origin);
    const at = { Bucket: 'data', Key: 'k' };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(at));
    const MultipartUpload = { Parts: [{ ETag: 'never uploaded', PartNumber: 1 }] };
    const complete = new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload });
    expect((await refusal(s3.send(complete)))[1]).toBe('InvalidPart');
    expect(origin.requests.at(-1)!.status).toBe(200);
  });
});

describe('DeleteObjects with keys that fail', () => {
  it('names them, and deletes the others', async () => {
    for (const key of ['a', 'b', 'c']) origin.put('data', key, key);
    origin.faults.on({ method: 'POST' }, { deleteErrors: { b: 'InternalError' } });
    const bob = origin.principals.find(principal => principal.name === 'alice')!;
    bob.deny = [{ actions: ['write'], resource: 'data/c' }];
    const Objects = ['a', 'b', 'c'].map(Key => ({ Key }));
    const answer = await sdkClient(origin).send(
      new DeleteObjectsCommand({ Bucket: 'data', Delete: { Objects, Quiet: true } }),
    );
    expect(answer.Deleted).toBeUndefined();
    expect(answer.Errors?.map(error => [error.Key, error.Code])).toEqual([
      ['b', 'InternalError'],
      ['c', 'AccessDenied'],
    ]);
    expect(['a', 'b', 'c'].filter(key => origin.object('data', key))).toEqual(['b', 'c']);
  });
});
