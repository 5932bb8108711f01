import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Address, parseAddress } from './address.ts';
import { S3Error } from './errors.ts';
import { httpDate, type Reply, type S3Request } from './message.ts';
import { postForm } from './post-form.ts';
import type { Principal } from './principals.ts';
import type { RequestLog, RequestRecord } from './request-log.ts';
import { contextOf, findHandler } from './router.ts';
import type { Store } from './store.ts';
import { verify } from './verify.ts';
import { element, XML_DECLARATION } from './xml.ts';

/** Where a test may step in. Each gets the running exchange; both default to nothing. */
export interface Hooks {
  /** When the headers are in and the object is known, before anything is checked. False: the hook has dealt with the request. */
  onRequest?(exchange: Exchange): Promise<boolean> | boolean;
  /** What would be answered; returns what is to be answered in its place, or undefined when it has dealt with it. */
  onReply?(exchange: Exchange, reply: Reply): Promise<Reply | undefined> | Reply | undefined;
}

export interface Exchange {
  readonly record: RequestRecord;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface ServerSettings {
  readonly store: Store;
  readonly log: RequestLog;
  readonly principals: readonly Principal[];
  readonly region: string | undefined;
  readonly bases: readonly string[];
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
  const exchange = { record, request, response };
  response.once('close', () => {
    record.state = response.writableFinished ? 'done' : 'aborted';
    settings.log.changed();
  });
  // A cut connection is seen by `close` and, while a body is read, by the read that fails.
  request.on('error', () => undefined);
  const address = addressOf(settings, record);
  settings.log.add(record);
  if ((await settings.hooks.onRequest?.(exchange)) === false) return;
  const wanted = await answer(settings, exchange, address);
  if (!wanted) return;
  const reply = settings.hooks.onReply ? await settings.hooks.onReply(exchange, wanted) : wanted;
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
    const s3 = understand(settings, exchange, address, now);
    const isForm = s3.method === 'POST' && s3.bucket !== '' && s3.key === '' && s3.query.size === 0;
    const context = contextOf(settings.store, s3.principal, now);
    return isForm ? await postForm(s3, context, settings.principals) : await findHandler(s3)(s3, context);
  } catch (error) {
    if (error instanceof S3Error) return errorReply(error, exchange.record);
    if (exchange.request.destroyed && !exchange.request.complete) return undefined;
    throw error;
  }
}

function addressOf(settings: ServerSettings, record: RequestRecord): Address | S3Error {
  try {
    const address = parseAddress(record.host, record.path, settings.bases);
    record.bucket = address.bucket;
    record.key = address.key;
    return address;
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
}

function understand(
  settings: ServerSettings,
  { record, request, response }: Exchange,
  address: Address,
  now: number,
): S3Request {
  const { method, path: target, rawHeaders: headers } = record;
  const header = (name: string): string | undefined => record.headers[name];
  const verified = verify({ method, target, headers, header, query: address.query }, { ...settings, now });
  record.principal = verified.principal?.name;
  const folded = new Map([...address.query].map(([name, value]) => [name.toLowerCase(), value]));
  const readBody = async (): Promise<Buffer> => {
    if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  };
  const amz = (name: string) => header(name) ?? folded.get(name);
  return { ...address, ...verified, method, target, headers, header, amz, host: record.host, readBody };
}

async function send(settings: ServerSettings, { record, request, response }: Exchange, reply: Reply): Promise<void> {
  record.status = reply.status;
  const id = randomBytes(8).toString('hex').toUpperCase();
  const headers = [
    'x-amz-id-2',
    `${id}/cistern-demo`,
    'x-amz-request-id',
    id,
    'Date',
    httpDate(Date.now()),
    ...reply.headers,
  ];
  const length = reply.body?.length;
  if (length !== undefined) headers.push('Content-Length', String(length));
  else if (reply.body) headers.push('Transfer-Encoding', 'chunked');
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

function recordOf(request: IncomingMessage): RequestRecord {
  const headers: Record<string, string> = {};
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i]!.toLowerCase();
    const before = headers[name];
    headers[name] = before === undefined ? request.rawHeaders[i + 1]! : `${before}, ${request.rawHeaders[i + 1]}`;
  }
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    host: headers.host ?? '',
    headers,
    rawHeaders: [...request.rawHeaders],
    bucket: '',
    key: '',
    principal: undefined,
    status: 0,
    bytesSent: 0,
    state: 'running',
  };
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
