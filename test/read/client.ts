import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { ALICE, type Principal, presign, signHeaders, type TestOrigin } from '../origin/index.ts';

/** One request for an object, as an SDK would send it. */
export interface Ask {
  readonly key?: string;
  readonly bucket?: string;
  readonly method?: string;
  /** Who signs; null: nobody does. */
  readonly who?: Principal | null;
  /** In the query's place, e.g. `?partNumber=2`. */
  readonly query?: string;
  /** Flat; all are signed but those named in `unsigned`. */
  readonly headers?: readonly string[];
  readonly unsigned?: readonly string[];
  /** Short for a `Range` header, left unsigned as most SDKs do. */
  readonly range?: string;
  readonly body?: Buffer;
  /** Seconds for which a presigned URL is good; without it the headers are signed. */
  readonly expires?: number;
  readonly at?: number;
  /** Virtual-hosted under this name instead of path-style. */
  readonly base?: string;
}

export interface Answer {
  readonly status: number;
  /** Flat, as they came. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** False when the connection ended before the answer did. */
  readonly complete: boolean;
  header(name: string): string | undefined;
}

/** Sends requests to a proxy, or past it; keeps connections as clients do. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 200 });
  readonly #origin: TestOrigin;
  readonly #proxyPort: number | undefined;

  /** @param proxyPort none: straight to the origin */
  constructor(origin: TestOrigin, proxyPort?: number) {
    this.#origin = origin;
    this.#proxyPort = proxyPort;
  }

  /** A connection that ends before the answer began is an answer with status 0. */
  async send(ask: Ask = {}): Promise<Answer> {
    const response = await this.begin(ask).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') return undefined;
      throw error;
    });
    return response ? collect(response) : NOTHING;
  }

  /** Resolves when the head of the answer is in; its body waits. */
  async begin(ask: Ask = {}): Promise<IncomingMessage> {
    const [response] = await once(this.start(ask), 'response');
    return response as IncomingMessage;
  }

  start(ask: Ask = {}): ClientRequest {
    const { target, host, headers } = this.compose(ask);
    const sent = request({
      host: '127.0.0.1',
      port: this.#proxyPort ?? this.#origin.port,
      method: ask.method ?? 'GET',
      path: this.#proxyPort === undefined ? target : `http://${host}${target}`,
      headers,
      setHost: false,
      agent: this.#agent,
    });
    sent.end(ask.body);
    return sent;
  }

  /** What is sent, for tests that look at it. */
  compose(ask: Ask): { target: string; host: string; headers: string[] } {
    const { key = 'k', bucket = 'data', who = ALICE, query = '', base } = ask;
    const host = base === undefined ? this.#origin.address : `${bucket}.${base}`;
    const path = base === undefined ? `/${bucket}${key === '' ? '' : `/${key}`}` : `/${key}`;
    const extra = [...(ask.headers ?? [])];
    const unsigned = [...(ask.unsigned ?? [])];
    if (ask.range !== undefined) {
      extra.push('Range', ask.range);
      unsigned.push('range');
    }
    const input = { method: ask.method ?? 'GET', host, target: path + query, ...(ask.at ? { at: ask.at } : {}) };
    if (who === null) return { target: input.target, host, headers: ['Host', host, ...extra, ...length(ask)] };
    if (ask.expires !== undefined) {
      const target = presign(who, { ...input, expires: ask.expires });
      return { target, host, headers: ['Host', host, ...extra, ...length(ask)] };
    }
    const headers = signHeaders(who, { ...input, headers: extra, unsigned, ...(ask.body ? { body: ask.body } : {}) });
    return { target: input.target, host, headers: [...headers, ...length(ask)] };
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** The rest of an answer. */
export async function collect(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  response.on('data', chunk => chunks.push(chunk as Buffer));
  response.on('error', () => {});
  response.resume();
  if (!response.closed) await once(response, 'close').catch(() => {});
  const headers = response.rawHeaders;
  return {
    status: response.statusCode ?? 0,
    headers,
    body: Buffer.concat(chunks),
    complete: response.complete,
    header: name => {
      const at = headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name.toLowerCase());
      return at < 0 ? undefined : headers[at + 1];
    },
  };
}

/** Resolves when at least `count` body bytes of the answer have come, or its end; then the body waits again. */
export function bytesOf(response: IncomingMessage, count: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  return new Promise(resolve => {
    const done = () => {
      response.off('data', onData).off('close', done);
      response.pause();
      resolve(Buffer.concat(chunks));
    };
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= count) done();
    };
    response
      .on('data', onData)
      .on('close', done)
      .on('error', () => {});
    response.resume();
  });
}

const NOTHING: Answer = { status: 0, headers: [], body: Buffer.alloc(0), complete: false, header: () => undefined };

function length({ body }: Ask): string[] {
  return body === undefined ? [] : ['Content-Length', String(body.length)];
}
