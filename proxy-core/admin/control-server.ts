import { once } from 'node:events';
import { lstat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { CisternError, ERRORS } from '../errors.ts';
import { type ControlSocket, listenIn } from './control-socket.ts';

/** What an error is on the wire: the answer, or the last line of one that had begun. */
export interface ControlError {
  readonly type: 'error';
  readonly code: string;
  readonly message: string;
  /** What to do. */
  readonly action: string;
}

/**
 * Answers one request: an object, or many that follow one another, of which the last has type `end`. `signal` says that whoever
 * asked has gone.
 */
export type ControlRoute = (
  query: URLSearchParams,
  signal: AbortSignal,
) => object | Promise<object> | AsyncIterable<object>;

/** By method and path, e.g. `GET /v1/hello`. */
export type ControlRoutes = Readonly<Record<string, ControlRoute>>;

export interface ControlServer {
  /** The socket's file. */
  readonly file: string;
  close(): Promise<void>;
}

/** Lines are sent in batches of so many characters, or when none comes in this turn of the loop. */
const BATCH = 16_384;
/** A session's folder is emptied when the session ends, which a proxy may outlive, ms. */
const LOOK_EVERY = 30_000;

/**
 * The control interface: HTTP on a local socket in the first of `folders` that can be used; who may open it is this person (or
 * the system's administrator). Rejects where none can. See control-folder.ts for who finds it how.
 */
export async function startControlServer(
  folders: readonly string[],
  routes: ControlRoutes,
  lookEvery = LOOK_EVERY,
): Promise<ControlServer> {
  let current = await open(folders, routes);
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    looking ??= lstat(current.socket.file)
      .then(
        () => {},
        async () => {
          const before = current;
          current = await open(folders, routes);
          await end(before);
        },
      )
      // Tried again at the next look.
      .catch(() => {})
      .finally(() => {
        looking = undefined;
      });
  }, lookEvery).unref();
  return {
    get file() {
      return current.socket.file;
    },
    async close() {
      clearInterval(timer);
      await looking;
      await end(current);
    },
  };
}

interface Open {
  readonly server: Server;
  readonly socket: ControlSocket;
}

async function open(folders: readonly string[], routes: ControlRoutes): Promise<Open> {
  const problems: string[] = [];
  for (const folder of folders) {
    const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
      void answer(request, response, routes);
    });
    server.maxConnections = 32;
    try {
      return { server, socket: await listenIn(folder, server) };
    } catch (error) {
      server.close();
      problems.push((error as Error).message);
    }
  }
  throw new Error(`no folder for the control socket: ${problems.join('; ') || 'its path would be too long'}`);
}

async function end({ server, socket }: Open): Promise<void> {
  await new Promise<void>(resolve => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
  await socket.remove();
}

async function answer(request: IncomingMessage, response: ServerResponse, routes: ControlRoutes): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  request.resume();
  try {
    const url = new URL(request.url ?? '/', 'http://cistern');
    const route = routes[`${request.method} ${url.pathname}`];
    if (!route) throw new CisternError('InvalidRequest', `There is no ${request.method} ${url.pathname} here.`);
    const answered = await route(url.searchParams, gone.signal);
    if (Symbol.asyncIterator in answered) await sendLines(response, answered, gone.signal);
    else send(response, 200, answered);
  } catch (error) {
    if (gone.signal.aborted) return;
    const { status, ...told } = inWire(error as Error);
    if (response.headersSent) response.end(`${JSON.stringify(told)}\n`);
    else send(response, status, told);
  }
}

/** Waits for whoever reads them: nothing piles up here. */
async function sendLines(response: ServerResponse, lines: AsyncIterable<object>, signal: AbortSignal): Promise<void> {
  let batch = '';
  let waiting: NodeJS.Immediate | undefined;
  const flush = () => {
    clearImmediate(waiting);
    waiting = undefined;
    const text = batch;
    batch = '';
    return response.write(text);
  };
  try {
    for await (const line of lines) {
      if (!response.headersSent)
        response.writeHead(200, { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' });
      batch += `${JSON.stringify(line)}\n`;
      waiting ??= setImmediate(flush);
      if (batch.length >= BATCH && !flush()) await once(response, 'drain', { signal });
    }
  } finally {
    if (batch !== '') flush();
  }
  response.end();
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}

function inWire(error: Error): ControlError & { readonly status: number } {
  const { status, code, message } =
    error instanceof CisternError ? error : new CisternError('InternalError', error.message, { cause: error });
  return { status, type: 'error', code, message, action: ERRORS[code].action };
}
