import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Content, etagOf, sizeOf } from './objects.ts';
import { Pace, type Shape } from './shape.ts';

/** A new shape is that of connections and answers that begin after it. */
export type OriginQuestion = 'state' | { readonly shape: Shape };

export interface OriginState {
  readonly port: number;
  readonly requests: number;
  /** Bytes of bodies that it has sent. */
  readonly bytes: number;
}

/** Of a shaped body, so that it flows evenly. */
const SHAPED_PIECE = 2 ** 16;
/** A shorter wait is not worth a timer; the {@link Pace} makes up for it. */
const SHORTEST_WAIT_MS = 1;

/**
 * An origin with the shape of S3: GET, HEAD and PUT of the objects of objects.ts, which are always there and which only their
 * own bytes can be uploaded to; single ranges, If-Match and If-None-Match, no signatures; near, or as far away as a
 * {@link Shape} says. It runs in a process of its own (helper.ts).
 */
let [requests, bytes] = [0, 0];
let shape: Shape = {};
let shared: Pace | undefined;
let connections = new WeakMap<Socket, Pace>();
const server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
  requests++;
  if (shape.latencyMs === undefined) respond(req, res);
  else setTimeout(respond, shape.latencyMs, req, res);
});

export async function answer(question: OriginQuestion): Promise<OriginState> {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening');
  if (question !== 'state') {
    shape = question.shape;
    shared = shape.total === undefined ? undefined : new Pace(shape.total);
    connections = new WeakMap();
  }
  return { port: (server.address() as AddressInfo).port, requests, bytes };
}

function respond(req: IncomingMessage, res: ServerResponse): void {
  const { url = '', method, headers, socket } = req;
  const path = url.replace(/^http:\/\/[^/]+/, '');
  const size = sizeOf(path);
  if (size === undefined) return void res.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
  const etag = etagOf(path);
  if (method === 'PUT') {
    take(req, res, path, size);
    return;
  }
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
  const paces = pacesOf(socket);
  send(res, new Content(path).pieces(first, last, paces.length > 0 ? SHAPED_PIECE : undefined), paces);
}

function take(req: IncomingMessage, res: ServerResponse, path: string, size: number): void {
  const content = new Content(path);
  const paces = pacesOf(req.socket);
  let at = 0;
  let same = true;
  req.on('data', (piece: Buffer) => {
    same &&= content.matches(at, piece);
    at += piece.length;
    const wait = waitFor(piece.length, paces);
    if (wait < SHORTEST_WAIT_MS) return;
    req.pause();
    setTimeout(() => req.resume(), wait);
  });
  req.on('end', () => {
    const headers = { ETag: etagOf(path), Server: 'AmazonS3', 'x-amz-request-id': 'BENCH', 'Content-Length': 0 };
    res.writeHead(same && at === size ? 200 : 400, headers).end();
  });
}

function pacesOf(socket: Socket): Pace[] {
  const paces = shared ? [shared] : [];
  if (shape.perConnection === undefined) return paces;
  let own = connections.get(socket);
  if (!own) {
    own = new Pace(shape.perConnection);
    connections.set(socket, own);
  }
  return [own, ...paces];
}

function send(res: ServerResponse, body: Iterator<Buffer>, paces: readonly Pace[]): void {
  const goOn = () => send(res, body, paces);
  // Not for…of: leaving that for a while would end the generator.
  for (let next = body.next(); !next.done; next = body.next()) {
    const piece = next.value;
    const wait = waitFor(piece.length, paces);
    if (wait >= SHORTEST_WAIT_MS) return void setTimeout(() => write(res, piece, goOn) && goOn(), wait);
    if (!write(res, piece, goOn)) return;
  }
  res.end();
}

/** False when it is not the time for the next piece; `goOn` is called when it is, if the client is still there. */
function write(res: ServerResponse, piece: Buffer, goOn: () => void): boolean {
  if (res.destroyed) return false;
  bytes += piece.length;
  if (res.write(piece)) return true;
  // A client that takes all at once would otherwise keep this process from ever looking at another.
  res.once('drain', () => setImmediate(goOn));
  return false;
}

function waitFor(length: number, paces: readonly Pace[]): number {
  if (paces.length === 0) return 0;
  const now = performance.now();
  return Math.max(...paces.map(pace => pace.reserve(length, now))) - now;
}
