import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';

/** A request in the very form in which it goes out. */
export interface Sent {
  readonly method: string;
  readonly target: string;
  /** Flat, Host included. */
  readonly headers: readonly string[];
  readonly body?: Buffer | undefined;
  /** The client goes away when so many bytes of the body are out, or `'late'`: when all are, and nothing has come. */
  readonly leaves?: number | 'late' | undefined;
}

/** `status` 0: the connection ended before an answer began. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  /** All of it came. */
  readonly complete: boolean;
  header(name: string): string | undefined;
}

/** An answer that has not come in this time, never will. */
const PATIENCE = 20_000;
/** How long who goes away without an answer waits for it, ms. */
const LEAVES_AFTER = 15;
const PIECE = 1 << 20;

/** Sends writes to a proxy; keeps connections as clients do. */
export class Writer {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 200 });
  readonly #port: number;
  readonly host: string;

  /** @param host of S3 */
  constructor(port: number, host: string) {
    this.#port = port;
    this.host = host;
  }

  async send(sent: Sent): Promise<Answer> {
    const { method, target, headers, leaves } = sent;
    const out = request({
      host: '127.0.0.1',
      port: this.#port,
      method,
      path: `http://${this.host}${target}`,
      headers: [...headers],
      setHost: false,
      agent: this.#agent,
    });
    out.on('error', () => {});
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      out.destroy();
    }, PATIENCE);
    try {
      const response = once(out, 'response') as Promise<[IncomingMessage]>;
      response.catch(() => {});
      await uploaded(out, sent, response);
      if (leaves === 'late') setTimeout(() => out.destroy(), LEAVES_AFTER);
      return await received((await response)[0]);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (!hung && ['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(code ?? '')) return NOTHING;
      throw hung ? new Error(`no end of the answer to ${method} ${target} after ${PATIENCE} ms`) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Sends the body, piece by piece, until an answer comes or the client goes away. */
async function uploaded(
  out: ClientRequest,
  { headers, body, leaves }: Sent,
  response: Promise<[IncomingMessage]>,
): Promise<void> {
  const over = Promise.race([response.then(() => {}), once(out, 'close').then(() => {})]).catch(() => {});
  if (headers.includes('100-continue')) {
    out.flushHeaders();
    await Promise.race([once(out, 'continue'), over]);
  }
  const until = typeof leaves === 'number' ? leaves : (body?.length ?? 0);
  for (let at = 0; at < until && !out.destroyed; at += PIECE) {
    if (!out.write(body!.subarray(at, Math.min(at + PIECE, until)))) await Promise.race([drained(out), over]);
  }
  if (typeof leaves !== 'number') out.end();
  else {
    await new Promise<void>(resolve => {
      out.once('close', resolve);
      out.write('', () => resolve());
    });
    out.destroy();
  }
}

function drained(out: ClientRequest): Promise<void> {
  return new Promise(resolve => {
    out.removeAllListeners('drain').once('drain', resolve);
  });
}

async function received(response: IncomingMessage): Promise<Answer> {
  let body = '';
  response.on('data', (chunk: Buffer) => {
    body += chunk.toString('latin1');
  });
  response.on('error', () => {});
  if (!response.closed) await once(response, 'close').catch(() => {});
  return {
    status: response.statusCode ?? 0,
    body,
    complete: response.complete,
    header: name => response.headers[name]?.toString(),
  };
}

const NOTHING: Answer = { status: 0, body: '', complete: false, header: () => undefined };
