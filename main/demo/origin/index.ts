import { type Body, bufferBody, sliceBody } from './bodies.ts';
import type { Hooks } from './exchange.ts';
import { DEMO_PRINCIPAL, type Principal } from './principals.ts';
import { RequestLog, type RequestRecord } from './request-log.ts';
import { listen } from './server.ts';
import {
  Bucket,
  type BucketOptions,
  md5Hex,
  newObject,
  Store,
  type StoredObject,
  type StoredPart,
  wholeSeconds,
} from './store.ts';
import { keptHeaders } from './stored-headers.ts';

export { type Body, bufferBody, chunksOf, generatedBody } from './bodies.ts';
export { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm, digest } from './checksums.ts';
export type { S3ErrorCode } from './errors.ts';
export type { Exchange, Hooks } from './exchange.ts';
export type { Reply } from './message.ts';
export { type Action, DEMO_PRINCIPAL, type Principal, type Rule } from './principals.ts';
export type { RequestRecord } from './request-log.ts';
export { amzDate, presign, type SignInput, signHeaders } from './signer.ts';
export { sha256Hex, sign, signingKey } from './sigv4.ts';
export type { BucketOptions, StoredObject } from './store.ts';

export interface OriginOptions {
  /** Buckets to begin with */
  readonly buckets?: Readonly<Record<string, BucketOptions>> | readonly string[];
  readonly principals?: readonly Principal[];
  /** The only Region whose signatures are taken; any by default */
  readonly region?: string;
  /** Names under which `bucket.<name>` is virtual-hosted, beside AWS's own */
  readonly bases?: readonly string[];
  /** Takes a plain body in chunked transfer coding, as some S3-compatible stores do; S3 answers 501 NotImplemented */
  readonly takesPlainChunks?: boolean;
  readonly host?: string;
  readonly port?: number;
  /** The origin's clock: signature ages and Last-Modified go by it */
  readonly now?: () => number;
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly hooks?: Hooks;
}

export interface PutOptions {
  /** Flat raw headers, e.g. `['Content-Type', 'text/csv', 'x-amz-meta-who', 'me']` */
  readonly headers?: readonly string[];
  /** With its quotes; by default the MD5 as S3's, or for generated content a name made of its length and seed */
  readonly etag?: string;
  readonly lastModified?: number;
  /** Stored as a multipart upload of parts of this size would be */
  readonly partSize?: number;
  /** Where its parts end, instead, exclusive: of parts of different sizes. */
  readonly partEnds?: readonly number[];
}

/** An S3-shaped origin in memory, on a real socket. It keeps no secrets of anyone's and forgets all when it stops. */
export class Origin {
  readonly store = new Store();
  readonly principals: readonly Principal[];
  readonly #log = new RequestLog();
  readonly #options: OriginOptions;
  #listening: Awaited<ReturnType<typeof listen>> | undefined;

  constructor(options: OriginOptions = {}) {
    this.#options = options;
    this.principals = options.principals ?? [DEMO_PRINCIPAL];
    const buckets = options.buckets ?? {};
    const named = Array.isArray(buckets) ? buckets.map(name => [name, {}] as const) : Object.entries(buckets);
    for (const [name, bucketOptions] of named) this.createBucket(name, bucketOptions);
  }

  async start(): Promise<this> {
    const {
      region,
      bases = ['s3.cistern.test', 's3.localtest'],
      takesPlainChunks = false,
      hooks = {},
      tls,
      host = '127.0.0.1',
      port = 0,
    } = this.#options;
    const { store, principals } = this;
    this.#listening = await listen(
      { store, principals, region, bases, takesPlainChunks, hooks, tls, log: this.#log, now: this.#now },
      host,
      port,
    );
    return this;
  }

  /** `127.0.0.1:port` */
  get address(): string {
    return `${this.#options.host ?? '127.0.0.1'}:${this.port}`;
  }

  get port(): number {
    if (!this.#listening) throw new Error('The origin has not been started.');
    return this.#listening.port;
  }

  get url(): string {
    return `${this.#options.tls ? 'https' : 'http'}://${this.address}`;
  }

  /** Every request since the start or the last `reset`, in the order in which their headers arrived */
  get requests(): readonly RequestRecord[] {
    return this.#log.requests;
  }

  bodiesServed(key: string, bucket?: string): number {
    return this.#log.bodiesServed(key, bucket);
  }

  bytesServed(key: string, bucket?: string): number {
    return this.#log.bytesServed(key, bucket);
  }

  requestsFor(key: string, method?: string): RequestRecord[] {
    return this.#log.requestsFor(key, method);
  }

  /** Resolves with the first request, past or coming, for which `matches` holds. */
  waitFor(matches: (record: RequestRecord) => boolean): Promise<RequestRecord> {
    return this.#log.waitFor(matches);
  }

  /** Forgets the requests seen so far; objects stay. */
  reset(): void {
    this.#log.reset();
  }

  createBucket(name: string, options: BucketOptions = {}): void {
    this.store.buckets.set(name, new Bucket(name, this.#now(), options));
  }

  /** Puts an object without a request, as someone else's write behind the cache's back would. */
  put(bucket: string, key: string, content: Buffer | string | Body, options: PutOptions = {}): StoredObject {
    const into = this.store.bucket(bucket);
    const made = typeof content === 'string' || Buffer.isBuffer(content) ? bufferBody(Buffer.from(content)) : content;
    const now = this.#now();
    const ends = options.partEnds ?? (options.partSize === undefined ? undefined : endsOf(made, options.partSize));
    const parts = ends && partsOf(made, ends, now);
    const etag = options.etag ?? `"${md5Hex(made)}${parts ? `-${parts.length}` : ''}"`;
    const lastModified = wholeSeconds(options.lastModified ?? now);
    const headers = keptHeaders(options.headers ?? []);
    const object = newObject(into, { key, body: made, parts, etag, lastModified, headers }, now);
    into.put(object);
    return object;
  }

  remove(bucket: string, key: string): void {
    this.store.bucket(bucket).remove(key);
  }

  object(bucket: string, key: string): StoredObject | undefined {
    return this.store.bucket(bucket).get(key);
  }

  /**
   * Announces what will be uploaded, whole or in parts of `partSize`: what comes is held against it and not kept a second
   * time, so that a generated body of any size can be uploaded without memory. Anything else is stored as it comes.
   */
  expect(bucket: string, key: string, body: Body, partSize?: number): void {
    this.store.expect(bucket, key, body, partSize);
  }

  /** What a RestoreObject began is there to be read, for so long. */
  finishRestore(bucket: string, key: string, lifetimeMs = 86_400_000): void {
    const object = this.object(bucket, key);
    if (object?.restored !== 'ongoing') throw new Error(`No restore of ${bucket}/${key} is under way.`);
    object.restored = { until: this.#now() + lifetimeMs };
  }

  async stop(): Promise<void> {
    const server = this.#listening?.server;
    if (!server) return;
    this.#listening = undefined;
    await new Promise(resolve => {
      server.close(resolve);
      server.closeAllConnections();
    });
  }

  readonly #now = (): number => this.#options.now?.() ?? Date.now();
}

function endsOf({ length }: Body, partSize: number): number[] {
  return Array.from({ length: Math.ceil(length / partSize) }, (_, i) => Math.min((i + 1) * partSize, length));
}

function partsOf(body: Body, ends: readonly number[], now: number): StoredPart[] {
  const parts: StoredPart[] = [];
  for (const [i, end] of ends.entries()) {
    const part = sliceBody(body, ends[i - 1] ?? 0, end);
    parts.push({
      number: parts.length + 1,
      body: part,
      etag: '',
      lastModified: wholeSeconds(now),
      checksums: [],
      sum: undefined,
    });
  }
  return parts;
}
