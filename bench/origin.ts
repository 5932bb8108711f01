import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { etagOf, pieces, sizeOf } from './objects.ts';

/**
 * An origin with the shape of S3: GET and HEAD of the objects of objects.ts, single ranges, If-Match and If-None-Match,
 * no signatures. It runs in a process of its own (helper.ts) and tells where it listens and how often it was asked.
 */
let requests = 0;
const server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
  requests++;
  respond(req, res);
});

export async function answer(question: 'port' | 'requests'): Promise<number> {
  if (question === 'requests') return requests;
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

function respond({ url = '', method, headers }: IncomingMessage, res: ServerResponse): void {
  const path = url.replace(/^http:\/\/[^/]+/, '');
  const size = sizeOf(path);
  if (size === undefined) return void res.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
  const etag = etagOf(path);
  res.setHeaders(
    new Map([
      ['ETag', etag],
      ['Last-Modified', 'Mon, 01 Jan 2024 00:00:00 GMT'],
      ['Accept-Ranges', 'bytes'],
      ['Content-Type', 'binary/octet-stream'],
      ['Server', 'AmazonS3'],
      ['x-amz-request-id', 'BENCH'],
    ]),
  );
  if (headers['if-none-match'] === etag) return void res.writeHead(304).end();
  if (headers['if-match'] !== undefined && headers['if-match'] !== etag) return void res.writeHead(412).end();

  const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
  const first = range ? Number(range[1]) : 0;
  const last = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
  if (first > last) return void res.writeHead(416).end();
  if (range) res.setHeader('Content-Range', `bytes ${first}-${last}/${size}`);
  res.writeHead(range ? 206 : 200, { 'Content-Length': last - first + 1 });
  if (method === 'HEAD') return void res.end();
  send(res, pieces(path, first, last));
}

function send(res: ServerResponse, body: Iterator<Buffer>): void {
  // Not for…of: leaving that for a while would end the generator.
  for (let next = body.next(); !next.done; next = body.next()) {
    if (!res.write(next.value)) return void res.once('drain', () => send(res, body));
  }
  res.end();
}
