import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { type Principal, signHeaders } from './origin/index.ts';

export interface Ask {
  readonly method: 'GET' | 'HEAD' | 'PUT';
  readonly key: string;
  readonly principal: Principal;
  /** Flat raw headers beside the signature's; they are signed */
  readonly headers?: readonly string[];
  readonly body?: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly xCache: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly ms: number;
}

/** A client as any S3 tool behind HTTP_PROXY is: absolute-form requests to the proxy, each with its own signature. */
export class ProxiedClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });
  readonly #proxy: URL;
  readonly #host: string;

  /** `host` is the bucket's name as the client knows it; only the proxy knows where that is. */
  constructor(proxyAddress: string, host: string) {
    this.#proxy = new URL(`http://${proxyAddress}`);
    this.#host = host;
  }

  async ask({ method, key, principal, headers = [], body }: Ask): Promise<Answer> {
    const target = `/${key}`;
    const length = body === undefined ? [] : ['Content-Length', String(body.length)];
    const started = performance.now();
    const sent = httpRequest({
      agent: this.#agent,
      host: this.#proxy.hostname,
      port: this.#proxy.port,
      method,
      path: `http://${this.#host}${target}`,
      headers: signHeaders(principal, {
        method,
        host: this.#host,
        target,
        headers: [...headers, ...length],
        ...(body === undefined ? {} : { body }),
      }),
    });
    sent.end(body);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
    const ms = performance.now() - started;
    const hash = createHash('sha256');
    for (const chunk of chunks) hash.update(chunk);
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    return {
      status: answer.statusCode ?? 0,
      xCache: String(answer.headers['x-cache'] ?? '–'),
      bytes,
      sha256: hash.digest('hex'),
      ms,
    };
  }

  close(): void {
    this.#agent.destroy();
  }
}
