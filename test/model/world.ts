import { performance } from 'node:perf_hooks';
import { Origin, type Principal, type RequestRecord } from '../../main/demo/origin/index.ts';
import { ALICE, BOB, type Fault, Faults } from '../origin/index.ts';
import { bodyOf, type Content, contentOf } from './content.ts';
import { History, type Version } from './history.ts';
import type { Circumstances } from './judge.ts';
import { record } from './recorder.ts';
import type { FaultKind, Thing } from './steps.ts';

/** How long after a fault its consequences may be seen, ms. */
const AFTERMATH = 500;

/** Faults after which a body can be taken up again; and how many in a row may be too many. */
const BREAKS_OFF: ReadonlySet<FaultKind> = new Set(['cut', 'reset', 'stall']);
const TOO_OFTEN = 3;

/** Something that went wrong at the origin, from the request that met it to that request's end. */
interface Strike {
  readonly kind: FaultKind;
  readonly record: RequestRecord;
  readonly from: number;
}

/** One object with all it has been, and who might read it when. */
export class Subject {
  readonly bucket: string;
  readonly key: string;
  readonly versions = new History<Version | undefined>(undefined);
  readonly forAlice = new History(true);
  readonly forBob: History<boolean>;
  readonly forNobody: History<boolean>;
  readonly removals: number[] = [];
  readonly taggings: number[] = [];

  constructor(bucket: string, key: string, forBob: boolean) {
    this.bucket = bucket;
    this.key = key;
    this.forBob = new History(forBob);
    this.forNobody = new History(bucket === OPEN);
  }
}

export const CLOSED = 'data';
export const OPEN = 'open';

/** Names one write in a header of its own, which nobody signs. */
export const STEP = 'x-model-step';

/** By how much the origin's clock goes on with each writing, so that even the Date of a write's answer tells it from the next. */
const TICK = 3000;

/** The origin, and everything it has been: what the answers of proxies are judged by. */
export class World {
  readonly origin: Origin;
  readonly #faults = new Faults();
  readonly #subjects = new Map<string, Subject>();
  readonly #announced = new Map<string, Content>();
  readonly #begins = new WeakMap<RequestRecord, number>();
  readonly #ends = new WeakMap<RequestRecord, number>();
  readonly #bob: Principal = { ...BOB };
  #strikes: Strike[] = [];
  #serial = 0;
  #writes = 0;
  #ahead = 0;

  private constructor(versioned: boolean) {
    const hooks = this.#faults.hooks();
    this.origin = new Origin({
      buckets: { [CLOSED]: {}, [OPEN]: { anonymous: 'read', versioned } },
      principals: [{ ...ALICE }, this.#bob],
      takesPlainChunks: true,
      now: () => this.now(),
      hooks: {
        ...hooks,
        onRequest: exchange => {
          this.#begins.set(exchange.record, performance.now());
          exchange.response.once('close', () => this.#ends.set(exchange.record, performance.now()));
          return hooks.onRequest!(exchange);
        },
      },
    });
    for (const name of [CLOSED, OPEN]) {
      record(this.origin.store.bucket(name), {
        recorded: key => this.#subjects.get(`${name}/${key}`),
        announced: id => this.#announced.get(id),
        tick: () => this.#tick(),
      });
    }
    // S3 dates an object of parts by when its upload was begun.
    const { uploads } = this.origin.store;
    const add = uploads.set.bind(uploads);
    uploads.set = (id, upload) => add(id, Object.assign(upload, { started: this.#tick() }));
  }

  /** @param versioned whether the bucket that is open to all keeps old versions */
  static async start(versioned: boolean): Promise<World> {
    const world = new World(versioned);
    await world.origin.start();
    return world;
  }

  /** The origin's clock, by which requests are to be signed, ms. */
  now(): number {
    return Date.now() + this.#ahead;
  }

  subject(run: string, thing: Thing): Subject {
    const bucket = thing === 'open' ? OPEN : CLOSED;
    const key = `${run}/${thing}`;
    let subject = this.#subjects.get(`${bucket}/${key}`);
    if (!subject) {
      subject = new Subject(bucket, key, thing !== 'guarded');
      this.#subjects.set(`${bucket}/${key}`, subject);
      if (thing === 'guarded') this.#bob.deny = [...(this.#bob.deny ?? []), denial(subject)];
    }
    return subject;
  }

  /** A new version's id and bytes, before it is sent anywhere. @param like other bytes than new ones */
  announce(size: number, like?: Buffer): { id: string; content: Content } {
    const id = String(++this.#serial);
    const made = contentOf(this.#serial, size);
    const content = like ? { ...made, bytes: like } : made;
    this.#announced.set(id, content);
    return { id, content };
  }

  /** The id of a version whose bytes the origin has from elsewhere than one request. */
  announceId(): string {
    return String(++this.#serial);
  }

  overwrite(subject: Subject, size: number, how: 'new' | 'same' | 'back', parts: boolean): void {
    const known = subject.versions.all.flatMap(({ what }) => what ?? []);
    const again = how === 'same' ? subject.versions.now : how === 'back' ? known.at(-2) : undefined;
    const { id, content } = this.announce(again?.bytes.length ?? size, again?.bytes);
    const partSize = !again && parts && size > 0 ? 5 << 20 : undefined;
    this.origin.put(subject.bucket, subject.key, bodyOf(content, id), {
      headers: ['x-amz-meta-version', id],
      // Those with the same ETag are made of the same parts.
      ...(again ? { etag: again.etag, ...(again.ends ? { partEnds: again.ends } : {}) } : {}),
      ...(partSize ? { partSize } : {}),
    });
  }

  remove(subject: Subject): void {
    this.origin.remove(subject.bucket, subject.key);
  }

  letBobRead(subject: Subject, may: boolean): void {
    const others = (this.#bob.deny ?? []).filter(({ resource }) => resource !== denial(subject).resource);
    this.#bob.deny = may ? others : [...others, denial(subject)];
    subject.forBob.change(may, performance.now());
  }

  /** @param at taken modulo the object's length */
  fault({ bucket, key, versions }: Subject, kind: FaultKind, at: number, times: number): void {
    const when = (record: RequestRecord) => {
      if (kind !== 'slow' && kind !== 'late') this.#strikes.push({ kind, record, from: performance.now() });
      return true;
    };
    this.#faults.on({ bucket, key, times, when }, faultOf(kind, at % Math.max(1, versions.now?.bytes.length ?? 1)));
  }

  /** A write of its own name, which meets this fault, if any. */
  expectWrite(fault: Fault | undefined): string {
    const step = `${++this.#writes}`;
    if (fault) this.#faults.on({ times: 1, when: ({ headers }) => headers[STEP] === step }, fault);
    return step;
  }

  /** What the origin saw of that write; the last one where it came more than once. */
  recordOf(step: string): RequestRecord | undefined {
    return this.origin.requests.findLast(({ headers }) => headers[STEP] === step);
  }

  /** How many GETs of the object that began since then were answered with more of its content than a byte. */
  bodiesSince({ bucket, key }: Subject, from: number): number {
    return this.origin
      .requestsFor(key, 'GET')
      .filter(record => record.bucket === bucket && record.bytesSent > 1 && (this.#begins.get(record) ?? 0) >= from)
      .filter(({ status }) => status === 200 || status === 206).length;
  }

  /** The faults that struck requests for the object, or were still felt, between the two moments. */
  trouble({ bucket, key }: Subject, from: number, until: number): Circumstances['trouble'] {
    const felt = this.#strikes.filter(
      ({ record, from: at }) =>
        record.key === key &&
        record.bucket === bucket &&
        at <= until &&
        (this.#ends.get(record) ?? Number.POSITIVE_INFINITY) + AFTERMATH >= from,
    );
    if (felt.length === 0) return 'none';
    return felt.length < TOO_OFTEN && felt.every(({ kind }) => BREAKS_OFF.has(kind)) ? 'cut short' : 'failed';
  }

  /** What the origin was asked for about the object meanwhile, in words, with ms since `from`. */
  asked({ bucket, key }: Subject, from: number, until: number): string {
    const since = (at: number | undefined) => (at === undefined ? '…' : Math.round(at - from));
    return this.origin.requests
      .filter(record => record.bucket === bucket && record.key === key)
      .filter(record => (this.#begins.get(record) ?? 0) <= until && (this.#ends.get(record) ?? until) >= from)
      .map(record => {
        const times = `${since(this.#begins.get(record))} to ${since(this.#ends.get(record))} ms`;
        return `${record.method} ${record.status} ${record.bytesSent} bytes, ${times}`;
      })
      .join('; ');
  }

  /** Ends all faults; stalled answers go on. */
  calm(): void {
    this.#faults.clear();
  }

  /** Forgets a run's objects. */
  forget(run: string): void {
    for (const [name, { bucket, key }] of this.#subjects) {
      if (!key.startsWith(`${run}/`)) continue;
      this.origin.remove(bucket, key);
      this.#subjects.delete(name);
    }
    for (const [id, { key }] of this.origin.store.uploads)
      if (key.startsWith(`${run}/`)) this.origin.store.uploads.delete(id);
    this.#bob.deny = (this.#bob.deny ?? []).filter(({ resource }) => !resource.includes(`/${run}/`));
    this.#strikes = [];
    this.#announced.clear();
    this.origin.reset();
  }

  async stop(): Promise<void> {
    this.calm();
    await this.origin.stop();
  }

  #tick(): number {
    this.#ahead += TICK;
    return Math.floor(this.now() / 1000) * 1000;
  }
}

function denial({ bucket, key }: Subject) {
  return { actions: ['read' as const], resource: `${bucket}/${key}` };
}

function faultOf(kind: FaultKind, at: number): Fault {
  switch (kind) {
    case 'cut':
      return { cutAfter: at };
    case 'reset':
      return { resetAfter: at };
    case 'stall':
      return { stallAfter: at };
    case 'slow':
      return { throttle: 20e6 };
    case 'late':
      return { beforeHeaders: 50 };
    case 'drop':
      return { drop: true };
    default:
      return { status: Number(kind) };
  }
}
