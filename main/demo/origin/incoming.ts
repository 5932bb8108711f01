import type { IncomingMessage } from 'node:http';
import { type Address, parseAddress } from './address.ts';
import { S3Error } from './errors.ts';
import type { Exchange } from './exchange.ts';
import type { S3Request } from './message.ts';
import type { RequestRecord } from './request-log.ts';
import { type VerifySettings, verify } from './verify.ts';

export function recordOf(request: IncomingMessage): RequestRecord {
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
    bytesReceived: 0,
    bytesSent: 0,
    state: 'running',
  };
}

/** Bucket, key and query, noted in the record, too. */
export function addressOf(record: RequestRecord, bases: readonly string[]): Address | S3Error {
  try {
    const address = parseAddress(record.host, record.path, bases);
    record.bucket = address.bucket;
    record.key = address.key;
    return address;
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
}

/** The request with its signature checked; its signer is noted in the record. Throws the S3Error that S3 would answer. */
export function understand(
  exchange: Exchange,
  address: Address,
  settings: VerifySettings & { readonly takesPlainChunks: boolean },
): S3Request {
  const { record } = exchange;
  const { method, path: target, rawHeaders: headers } = record;
  const header = (name: string): string | undefined => record.headers[name];
  const verified = verify({ method, target, headers, header, query: address.query }, settings);
  record.principal = verified.principal?.name;
  const folded = new Map([...address.query].map(([name, value]) => [name.toLowerCase(), value]));
  return {
    ...address,
    ...verified,
    method,
    target,
    headers,
    header,
    amz: name => header(name) ?? folded.get(name),
    host: record.host,
    takesPlainChunks: settings.takesPlainChunks,
    body: () => exchange.body(),
  };
}
