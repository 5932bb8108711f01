import { type Caller, callerOf } from './freshness/index.ts';
import { type Exchange, type RelayOutcome, relay, respondError, type TakenIn } from './listeners/index.ts';
import type { AccessLog, Counters, Latency, Outcome as Timed } from './observe/index.ts';
import {
  mayCompress,
  type Note,
  type Outcome,
  Reader,
  type ReadKind,
  type ReadQuestion,
  type ReadRequest,
  type Wire,
} from './read/index.ts';
import {
  classify,
  type HeaderFacts,
  headerValue,
  type ObjectAddress,
  type RequestKind,
  readHeaderFacts,
  readSignature,
  type SignatureFacts,
  type TargetFacts,
  type TargetParser,
  type Upload,
  withPresignedHeaders,
} from './request/index.ts';
import type { BucketSettings, ObjectSettings, Settings } from './settings/index.ts';
import { bucketFolder, type Store } from './store/index.ts';
import type { S3Upstream } from './upstream/index.ts';
import { type Keeping, uploadKeeping, WriteWatch } from './write/index.ts';

export interface GatewayOptions {
  readonly settings: Settings;
  readonly targets: TargetParser;
  readonly buckets: BucketSettings;
  readonly store: Store;
  readonly upstream: S3Upstream;
  readonly counters: Counters;
  readonly latency: Latency;
  readonly accessLog: AccessLog | undefined;
  readonly onEvent: (key: string, message: string) => void;
}

/** Everything that is known about a request once it is understood. */
interface Understood {
  readonly request: TakenIn;
  /** The client's connection, for the access log. */
  readonly socket: { readonly remoteAddress?: string | undefined };
  readonly httpVersion: string;
  readonly facts: HeaderFacts;
  readonly target: TargetFacts;
  readonly signature: SignatureFacts;
  readonly startedAt: number;
}

/** Decides what becomes of each request that a listener took in: a read through the cache, a watched write, or a relay. */
export class Gateway {
  readonly reader: Reader;
  /** Those in force. */
  settings: Settings;
  readonly #options: GatewayOptions;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.settings = options.settings;
    const { settings, counters } = options;
    const inForce = () => this.settings.cache;
    this.reader = new Reader({
      store: options.store,
      upstream: options.upstream,
      authorization: () => inForce().authorization,
      staleIfError: () => inForce().stale_if_error,
      parallelFill: {
        connections: settings.cache.parallel_fill.connections,
        minObjectSize: settings.cache.parallel_fill.min_object_size,
      },
      diskPatience: settings.cache.disk_timeout,
      onEvent: options.onEvent,
      onS3Request: () => counters.s3_requests++,
      onS3Bytes: count => {
        counters.bytes_from_s3 += count;
      },
      fail: (request, error) => respondError(request.res, error),
    });
  }

  /** A listener's `Handle`. */
  handle(exchange: Exchange): void | Promise<void> {
    this.#options.counters.requests++;
    const understood = this.#understand(exchange, exchange.req.socket, exchange.req.httpVersion);
    const kind = classify(exchange.method, understood.facts, understood.target);
    if (kind.kind !== 'read') return this.#relay(exchange, understood, kind);
    // A body of unknown length; one with a length is seen in the header.
    if (exchange.framing === 'chunked') return this.#relay(exchange, understood, { kind: 'relay', reason: 'body' });
    // undici sends no `Expect`, and it may be signed, so it can't be left out (RFC 9110 section 10.1.1).
    if (exchange.expectsContinue) return this.#relay(exchange, understood, { kind: 'relay', reason: 'expect' });
    const preparing = this.#options.buckets.prepare(folderOf(kind.object));
    return preparing
      ? preparing.then(() => this.#read(exchange, understood, kind))
      : this.#read(exchange, understood, kind);
  }

  /** A listener's `AnswerAtOnce`: the same look at a request, and the same answer, where all of it is at hand. */
  answerAtOnce(request: TakenIn, client: { readonly remoteAddress?: string | undefined }, wire: Wire): boolean {
    const { counters, buckets } = this.#options;
    const understood = this.#understand(request, client, '1.1');
    const kind = classify(request.method, understood.facts, understood.target);
    if (kind.kind !== 'read' || buckets.prepare(folderOf(kind.object))) return false;
    const resolved = buckets.resolve(folderOf(kind.object), kind.object.key);
    if (!resolved.read_cache_enabled) return false;
    const question = this.#question(understood, kind, resolved);
    if (!this.reader.serveAtOnce(question, wire)) return false;
    counters.requests++;
    this.#done(understood, question.note);
    return true;
  }

  #understand(
    request: TakenIn,
    socket: { readonly remoteAddress?: string | undefined },
    httpVersion: string,
  ): Understood {
    const { settings } = this;
    const { targets } = this.#options;
    const target = targets.parse(request.authority, request.target);
    const said = withPresignedHeaders(readHeaderFacts(request.headers), target);
    // Where the directives of clients are not honoured, they are as if not there.
    const facts = settings.cache.cache_bypass_headers_enabled ? said : { ...said, noStore: false, noCache: false };
    const signature = readSignature(facts, target);
    return { request, socket, httpVersion, facts, target, signature, startedAt: performance.now() };
  }

  #question({ facts, signature }: Understood, kind: ReadKind, settings: ObjectSettings): ReadQuestion {
    return {
      kind,
      facts,
      signature,
      caller: this.settings.cache.authorization === 'shared' ? SOMEBODY : callerOf(signature),
      settings,
      mustAsk:
        facts.originHeader !== undefined ||
        facts.expectedBucketOwner ||
        facts.requestPayer ||
        facts.noCache ||
        (signature.expiresAt !== undefined && Date.now() > signature.expiresAt),
      note: newNote('MISS', ''),
    };
  }

  #read(exchange: Exchange, understood: Understood, kind: ReadKind): void | Promise<void> {
    const { buckets } = this.#options;
    const resolved = buckets.resolve(folderOf(kind.object), kind.object.key);
    if (!resolved.read_cache_enabled)
      return this.#relay(exchange, understood, {
        kind: 'relay',
        reason: resolved.unknown ? 'settings_unknown' : 'read_cache_disabled',
      });
    const { res, method, authority, scheme, target: path, headers } = exchange;
    const request: ReadRequest = {
      ...this.#question(understood, kind, resolved),
      res,
      upstream: { method, authority, scheme, path, headers },
      onDone: note => this.#done(understood, note),
    };
    return this.reader.serve(request);
  }

  #relay(
    exchange: Exchange,
    understood: Understood,
    kind: Exclude<RequestKind, { kind: 'read' }>,
  ): void | Promise<void> {
    const upload = kind.kind === 'write' ? kind.upload : undefined;
    const preparing = upload && this.#options.buckets.prepare(folderOf(upload.object));
    return preparing
      ? preparing.then(() => this.#pass(exchange, understood, kind))
      : this.#pass(exchange, understood, kind);
  }

  #pass(exchange: Exchange, understood: Understood, kind: Exclude<RequestKind, { kind: 'read' }>): void {
    const { target } = understood;
    const { counters, upstream } = this.#options;
    counters.bypass(kind.reason);
    counters.s3_requests += target.origin === undefined ? 0 : 1;
    const note = newNote('BYPASS', kind.reason);
    relay(exchange, upstream, {
      extra:
        target.origin === undefined
          ? []
          : ['X-Cache', 'BYPASS', 'Cache-Status', `cistern; fwd=bypass; detail=${kind.reason}`],
      hooks: kind.kind === 'write' ? this.#watch(exchange, understood, kind) : undefined,
      observer: {
        onAnswer: (status, headers) => {
          note.status = status;
          note.firstByteAt = performance.now();
          note.requestId = headerValue(headers, 'x-amz-request-id');
          note.hostId = headerValue(headers, 'x-amz-id-2');
        },
        onDone: (outcome: RelayOutcome) => {
          note.bytesSent = outcome.bytesSent;
          note.error = outcome.error?.code;
          counters.bytes_uploaded += outcome.bytesReceived;
          if (target.origin !== undefined) counters.bytes_from_s3 += outcome.bytesSent;
          this.#done(understood, note);
        },
      },
    });
  }

  #watch(
    exchange: Exchange,
    { facts, target }: Understood,
    { write, upload }: Extract<RequestKind, { kind: 'write' }>,
  ): WriteWatch {
    const { store, onEvent } = this.#options;
    return new WriteWatch(write, {
      changed: store,
      request: facts,
      keeping: upload && this.#keeping(exchange, target, upload),
      patience: this.settings.cache.disk_timeout,
      onProblem: message => onEvent('writes', message),
    });
  }

  #keeping({ headers, framing }: Exchange, target: TargetFacts, upload: Upload): Keeping | undefined {
    const { buckets, counters, store } = this.#options;
    const { key } = upload.object;
    const resolved: ObjectSettings = buckets.resolve(folderOf(upload.object), key);
    const request = { headers, framing, target };
    return uploadKeeping(upload, request, {
      store,
      settings: resolved,
      mayCompress: (kept, length) => mayCompress(resolved, { headers: kept, length }, key),
      onKept: () => counters.uploads_kept++,
      onPassedBy: reason => counters.passUploadBy(reason),
    });
  }

  #done(understood: Understood, note: Note): void {
    const { counters, latency, accessLog } = this.#options;
    const counter = COUNTER[note.outcome];
    if (counter !== undefined) counters[counter]++;
    counters.bytes_to_clients += note.bytesSent;
    counters.bytes_from_cache += note.bytesFromCache;
    if (note.error !== undefined) counters.errors++;
    const now = performance.now();
    const firstByte = (note.firstByteAt || now) - understood.startedAt;
    latency.record(TIMED[note.outcome], firstByte);
    if (accessLog) record(accessLog, understood, note, now - understood.startedAt, firstByte);
  }
}

const SOMEBODY: Caller = 'anybody';
function newNote(outcome: Outcome, detail: string): Note {
  return {
    outcome,
    detail,
    status: 0,
    bytesSent: 0,
    bytesFromCache: 0,
    objectSize: undefined,
    firstByteAt: 0,
    error: undefined,
    requestId: undefined,
    hostId: undefined,
  };
}
/** Bypasses are counted where their reason is known. */
const COUNTER: Record<Outcome, 'hits' | 'revalidated' | 'partial' | 'misses' | undefined> = {
  HIT: 'hits',
  REVALIDATED: 'revalidated',
  PARTIAL: 'partial',
  MISS: 'misses',
  BYPASS: undefined,
};
const TIMED: Record<Outcome, Timed> = {
  HIT: 'hit',
  REVALIDATED: 'revalidated',
  PARTIAL: 'partial',
  MISS: 'miss',
  BYPASS: 'bypass',
};

let folderFor: { origin: string; bucket: string; folder: string } = { origin: '', bucket: '', folder: '' };

/** The bucket's folder; most requests are for the bucket of the one before. */
function folderOf({ origin, bucket }: ObjectAddress): string {
  if (folderFor.bucket !== bucket || folderFor.origin !== origin)
    folderFor = { origin, bucket, folder: bucketFolder(origin, bucket) };
  return folderFor.folder;
}

function record(
  log: AccessLog,
  { request, socket, httpVersion, facts, target, signature }: Understood,
  note: Note,
  totalTime: number,
  turnAroundTime: number,
): void {
  const relayed = note.outcome === 'BYPASS';
  log.record({
    time: Date.now() - totalTime,
    remoteAddress: socket.remoteAddress,
    requestId: note.requestId,
    hostId: note.hostId,
    method: request.method,
    target: request.target,
    httpVersion,
    host: request.authority,
    origin: target.origin,
    bucket: target.bucket,
    key: target.object?.key,
    isCopy: facts.copySource !== undefined,
    status: note.status,
    errorCode: note.error,
    bytesSent: note.bytesSent,
    objectSize: note.objectSize,
    totalTime,
    turnAroundTime,
    referer: facts.referer,
    userAgent: facts.userAgent,
    versionId: target.query.get('versionId'),
    signature,
    tls: undefined,
    outcome: TIMED[note.outcome],
    reason: relayed ? note.detail : undefined,
  });
}
