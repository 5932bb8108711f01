import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Address } from './address.ts';
import { S3Error } from './errors.ts';
import { Answered, Exchange, type Hooks } from './exchange.ts';
import { addressOf, recordOf, understand } from './incoming.ts';
import { httpDate, type Reply } from './message.ts';
import { postForm } from './post-form.ts';
import type { Principal } from './principals.ts';
import type { RequestLog, RequestRecord } from './request-log.ts';
import { contextOf, findHandler } from './router.ts';
import type { Store } from './store.ts';
import { element, XML_DECLARATION } from './xml.ts';

export interface ServerSettings {
  readonly store: Store;
  readonly log: RequestLog;
  readonly principals: readonly Principal[];
  readonly region: string | undefined;
  readonly bases: readonly string[];
  readonly takesPlainChunks: boolean;
  readonly now: () => number;
  readonly hooks: Hooks;
  readonly tls: { readonly key: string; readonly cert: string } | undefined;
}

export async function listen(
  settings: ServerSettings,
  host: string,
  port: number,
): Promise<{ server: Server; port: number }> {
  const options = { keepAliveTimeout: 120_000, requestTimeout: 0, maxHeaderSize: 64 * 1024 };
  const server = settings.tls ? createTlsServer({ ...options, ...settings.tls }) : createServer(options);
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    serve(settings, request, response).catch((error: unknown) => {
      process.emitWarning(error as Error);
      response.destroy();
    });
  };
  server.on('request', onRequest);
  server.on('checkContinue', onRequest);
  server.listen(port, host);
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

async function serve(settings: ServerSettings, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const record = recordOf(request);
  const exchange = new Exchange(record, request, response, settings.hooks);
  response.once('close', () => {
    record.state = response.writableFinished ? 'done' : 'aborted';
    settings.log.changed();
  });
  // A cut connection is seen by `close` and, while a body is read, by the read that fails.
  request.on('error', () => undefined);
  const address = addressOf(record, settings.bases);
  settings.log.add(record);
  const early = await settings.hooks.onRequest?.(exchange);
  if (early === false) return;
  const outcome = typeof early === 'object' ? Promise.resolve(early) : answer(settings, exchange, address);
  const first = await Promise.race([outcome, exchange.begun]);
  if (typeof first === 'function') {
    await send(settings, exchange, first(outcome));
    await outcome;
    return;
  }
  if (!first) return;
  const reply = settings.hooks.onReply ? await settings.hooks.onReply(exchange, first) : first;
  if (reply && !response.destroyed) await send(settings, exchange, reply);
}

/** Undefined when the client left before its body was in. */
async function answer(
  settings: ServerSettings,
  exchange: Exchange,
  address: Address | S3Error,
): Promise<Reply | undefined> {
  try {
    const now = settings.now();
    if (address instanceof S3Error) throw address;
    const s3 = understand(exchange, address, { ...settings, now });
    const isForm = s3.method === 'POST' && s3.bucket !== '' && s3.key === '' && s3.query.size === 0;
    const refused = (key: string) => settings.hooks.onDelete?.(exchange, key);
    const context = { ...contextOf(settings.store, s3.principal, now), refused };
    return isForm ? await postForm(s3, context, settings.principals) : await findHandler(s3)(s3, context);
  } catch (error) {
    if (error instanceof S3Error) return errorReply(error, exchange.record);
    if (error instanceof Answered) return error.reply;
    if (exchange.request.destroyed && !exchange.request.complete) return undefined;
    throw error;
  }
}

async function send(settings: ServerSettings, exchange: Exchange, reply: Reply): Promise<void> {
  const { record, request, response } = exchange;
  record.status = reply.status;
  const id = randomBytes(8).toString('hex').toUpperCase();
  const headers = [
    'x-amz-id-2',
    `${id}/cistern-demo`,
    'x-amz-request-id',
    id,
    'Date',
    httpDate(settings.now()),
    ...reply.headers,
  ];
  const length = reply.body?.length;
  if (length !== undefined) headers.push('Content-Length', String(length));
  else if (reply.body) headers.push('Transfer-Encoding', 'chunked');
  if (exchange.mustClose) headers.push('Connection', 'close');
  response.sendDate = false;
  response.writeHead(reply.status, [...headers, 'Server', 'AmazonS3']);
  settings.log.changed();
  if (reply.body && request.method !== 'HEAD') {
    for await (const chunk of reply.body.chunks) {
      if (response.destroyed) return;
      record.bytesSent += chunk.length;
      if (!response.write(chunk)) await drained(response);
    }
  }
  response.end();
  // What is left of a body that was refused half-way must not stand before the connection's next request.
  if (!request.complete && !exchange.mustClose) request.resume();
}

async function drained(response: ServerResponse): Promise<void> {
  await new Promise<void>(resolve => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}

function errorReply(error: S3Error, record: RequestRecord): Reply {
  const extra = Object.entries(error.extra).map(([name, value]) => element(name, value));
  const content = element('Code', error.code) + element('Message', error.message) + extra.join('');
  const xml = `${XML_DECLARATION}<Error>${content}${element('Resource', record.path.split('?')[0])}</Error>`;
  return {
    status: error.status,
    headers: [...error.headers, 'Content-Type', 'application/xml'],
    body: { chunks: [Buffer.from(xml)] },
  };
}
