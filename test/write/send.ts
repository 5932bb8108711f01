import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { ALICE, type ChunkedOptions, chunkedUpload, presign, signHeaders } from '../origin/index.ts';
import { type Answer, collect } from '../read/client.ts';
import type { Place } from '../read/helpers.ts';

/** A request in the very form in which it goes out. */
export interface Sent {
  readonly method?: string;
  readonly target: string;
  /** Flat, Host included. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** Sends it through the proxy, the body in two pieces; one that waits for 100 Continue gets its body then. */
export async function send(place: Pick<Place, 'origin' | 'core'>, sent: Sent): Promise<Answer> {
  const { method = 'PUT', target, headers, body } = sent;
  const out = request({
    host: '127.0.0.1',
    port: Number(place.core.addresses.proxy.split(':').at(-1)),
    method,
    path: `http://${place.origin.address}${target}`,
    headers: [...headers],
    setHost: false,
    agent: false,
  });
  const response = once(out, 'response');
  if (headers.includes('100-continue')) {
    out.flushHeaders();
    await Promise.race([once(out, 'continue'), response]);
  }
  out.write(body.subarray(0, body.length / 2));
  out.end(body.subarray(body.length / 2));
  const [answer] = (await response) as [IncomingMessage];
  return collect(answer);
}

export const TARGET = '/data/k';

/** A signed request with a body of known length. */
export function signed({ origin }: Pick<Place, 'origin'>, body: Buffer, headers: readonly string[] = []): Sent {
  const length = ['Content-Length', String(body.length)];
  const all = signHeaders(ALICE, {
    method: 'PUT',
    host: origin.address,
    target: TARGET,
    headers: [...length, ...headers],
    body,
  });
  return { target: TARGET, headers: all, body };
}

/** A presigned URL with `x-amz-` headers in its query, as the JavaScript SDK makes them. */
export function presigned(
  { origin }: Pick<Place, 'origin'>,
  body: Buffer,
  { query = '', headers = [] }: { query?: string; headers?: readonly string[] } = {},
): Sent {
  const target = presign(ALICE, { method: 'PUT', host: origin.address, target: `${TARGET}${query}`, expires: 60 });
  return { target, headers: ['Host', origin.address, 'Content-Length', String(body.length), ...headers], body };
}

export function chunked(
  { origin }: Pick<Place, 'origin'>,
  content: Buffer,
  options: Omit<ChunkedOptions, 'content'>,
  headers: readonly string[] = [],
): Sent {
  const input = { method: 'PUT', host: origin.address, target: TARGET, headers };
  return { target: TARGET, ...chunkedUpload(ALICE, input, { content, ...options }) };
}
