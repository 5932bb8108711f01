import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ALICE,
  CHECKSUM_ALGORITHMS,
  type ChunkedOptions,
  type ChunkedUpload,
  chunkedUpload,
  digest,
  generatedBody,
  startOrigin,
  type TestOrigin,
} from './index.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin();
});
afterAll(() => origin.stop());

const CONTENT = generatedBody(300_000, 5).read(0, 300_000);
const upload = (options: Partial<ChunkedOptions> = {}, headers: readonly string[] = []) =>
  chunkedUpload(
    ALICE,
    { method: 'PUT', host: origin.address, target: '/data/k', headers },
    { content: CONTENT, form: 'signed', ...options },
  );

/** Sends it in pieces that cut the framing anywhere; [status, code or nothing]. */
async function send({ headers, body }: ChunkedUpload, piece = 10_007): Promise<[number | undefined, string]> {
  const sent = request({ port: origin.port, method: 'PUT', path: '/data/k', headers, setHost: false });
  const answering = once(sent, 'response');
  for (let at = 0; at < body.length; at += piece) sent.write(body.subarray(at, at + piece));
  sent.end();
  const [answer] = (await answering) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer) text += chunk;
  return [answer.statusCode, /<Code>(\w+)/.exec(text)?.[1] ?? text];
}

const stored = () => origin.object('data', 'k')!;
const holdsContent = () => stored().body.read(0, stored().body.length).equals(CONTENT);

describe.each(['signed', 'signed-trailer', 'unsigned-trailer'] as const)('aws-chunked, %s', form => {
  const trailers = form === 'signed' ? [undefined] : CHECKSUM_ALGORITHMS;

  it.each(trailers)('is taken apart, its checksum (%s) held against it and kept', async algorithm => {
    origin.remove('data', 'k');
    const value = algorithm && digest(algorithm, [CONTENT]).toString('base64');
    const options: Partial<ChunkedOptions> = algorithm
      ? { form, encoding: 'gzip', trailer: [`x-amz-checksum-${algorithm}`, value!] }
      : { form, encoding: 'gzip' };
    expect(await send(upload(options))).toEqual([200, '']);
    expect(holdsContent()).toBe(true);
    expect(stored().headers).toEqual(expect.arrayContaining(['Content-Encoding', 'gzip']));
    expect(stored().checksums[0]).toMatchObject(algorithm ? { algorithm, value } : { algorithm: 'crc64nvme' });
    if (!algorithm) return;
    const other = digest(algorithm, [Buffer.from('other')]).toString('base64');
    const wrong = upload({ form, trailer: [`x-amz-checksum-${algorithm}`, other] });
    expect(await send(wrong)).toEqual([400, 'BadDigest']);
    expect(holdsContent()).toBe(true);
  });

  it('comes in chunked transfer coding, too, and with nothing in it', async () => {
    const trailer = ['x-amz-checksum-crc32', digest('crc32', [CONTENT]).toString('base64')] as const;
    const more = form === 'signed' ? {} : { trailer };
    expect(await send(upload({ form, transferChunked: true, ...more }))).toEqual([200, '']);
    expect(holdsContent()).toBe(true);
    const none = form === 'signed' ? {} : { trailer: ['x-amz-checksum-crc32', 'AAAAAA=='] as const };
    expect(await send(upload({ form, content: Buffer.alloc(0), ...none }))).toEqual([200, '']);
    expect([stored().body.length, stored().etag]).toEqual([0, '"d41d8cd98f00b204e9800998ecf8427e"']);
  });

  it('is refused with small chunks, cut short, and without the length that was signed', async () => {
    expect(await send(upload({ form, chunkSize: 8191 }))).toEqual([403, 'InvalidChunkSizeError']);
    const framed = upload({ form, transferChunked: true });
    expect(await send({ ...framed, body: framed.body.subarray(0, 200_000) })).toEqual([400, 'IncompleteBody']);
    const said = framed.headers.indexOf('x-amz-decoded-content-length');
    const unsaid = [...framed.headers.slice(0, said), ...framed.headers.slice(said + 2)];
    expect((await send({ ...framed, headers: unsaid }))[0]).toBe(403);
  });
});

describe('aws-chunked', () => {
  it('with a byte changed in a signed chunk is refused', async () => {
    const { headers, body } = upload();
    const changed = Buffer.from(body);
    changed[150_000] = changed[150_000]! ^ 1;
    expect(await send({ headers, body: changed })).toEqual([403, 'SignatureDoesNotMatch']);
  });

  it('without the trailer it announced is refused', async () => {
    const { headers } = upload({
      form: 'unsigned-trailer',
      transferChunked: true,
      trailer: ['x-amz-checksum-sha1', ''],
    });
    const { body } = upload({ form: 'unsigned-trailer', transferChunked: true });
    expect(await send({ headers, body })).toEqual([400, 'IncompleteBody']);
  });
});
