import { performance } from 'node:perf_hooks';
import { Origin, type Principal, type RequestRecord } from '../../main/demo/origin/index.ts';
import { ALICE, BOB, type Fault, Faults, type StoredObject } from '../origin/index.ts';
import { bodyOf, type Content, contentOf } from './content.ts';
import { History, type Version } from './history.ts';
import type { Circumstances } from './judge.ts';
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
  /** When it was removed, in order. */
  readonly removals: number[] = [];

  constructor(bucket: string, key: string, forBob: boolean) {
    this.bucket = bucket;
    this.key = key;
    this.forBob = new History(forBob);
    this.forNobody = new History(bucket === OPEN);
  }
}

export const CLOSED = 'data';
export const OPEN = 'open';

/** The origin, and everything it has been: what the answers of proxies are judged by. */
export class World {
  readonly origin: Origin;
  readonly #faults = new Faults();
  readonly #subjects = new Map<string, Subject>();
  readonly #announced = new Map<string, { content: Content; partSize: number | undefined }>();
  readonly #ends = new WeakMap<RequestRecord, number>();
  readonly #bob: Principal = { ...BOB };
  #strikes: Strike[] = [];
  #serial = 0;

  private constructor() {
    const hooks = this.#faults.hooks();
    this.origin = new Origin({
      buckets: { [CLOSED]: {}, [OPEN]: { anonymous: 'read' } },
      principals: [{ ...ALICE }, this.#bob],
      hooks: {
        ...hooks,
        onRequest: exchange => {
          exchange.response.once('close', () => this.#ends.set(exchange.record, performance.now()));
          return hooks.onRequest!(exchange);
        },
      },
    });
    for (const name of [CLOSED, OPEN]) this.#record(name);
  }

  static async start(): Promise<World> {
    const world = new World();
    await world.origin.start();
    return world;
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

  /** A new version's id and bytes, before it is sent anywhere. */
  announce(size: number, partSize?: number): { id: string; content: Content } {
    const id = String(++this.#serial);
    const content = contentOf(this.#serial, size);
    this.#announced.set(id, { content, partSize });
    return { id, content };
  }

  overwrite(subject: Subject, size: number, how: 'new' | 'same' | 'back', parts: boolean): void {
    const known = subject.versions.all.flatMap(({ what }) => what ?? []);
    const again = how === 'same' ? subject.versions.now : how === 'back' ? known.at(-2) : undefined;
    const partSize = again ? again.partSize : parts && size > 0 ? 5 << 20 : undefined;
    const { id, content } = this.announce(again?.bytes.length ?? size, partSize);
    const bytes = again?.bytes ?? content.bytes;
    if (again) this.#announced.set(id, { content: { ...content, bytes }, partSize });
    this.origin.put(subject.bucket, subject.key, bodyOf({ ...content, bytes }, id), {
      headers: ['x-amz-meta-version', id],
      ...(again ? { etag: again.etag } : {}),
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
    this.#bob.deny = (this.#bob.deny ?? []).filter(({ resource }) => !resource.includes(`/${run}/`));
    this.#strikes = [];
    this.#announced.clear();
    this.origin.reset();
  }

  async stop(): Promise<void> {
    this.calm();
    await this.origin.stop();
  }

  /** Whatever way a version comes to be or to go, it is written down at that moment. */
  #record(name: string): void {
    const bucket = this.origin.store.bucket(name);
    const [put, remove] = [bucket.put.bind(bucket), bucket.remove.bind(bucket)];
    bucket.put = object => {
      const made = this.#madeOf(object);
      put(made.object);
      this.#subjects.get(`${name}/${object.key}`)?.versions.change(made.version, performance.now());
    };
    bucket.remove = (key, versionId) => {
      remove(key, versionId);
      const subject = this.#subjects.get(`${name}/${key}`);
      subject?.versions.change(undefined, performance.now());
      subject?.removals.push(performance.now());
    };
  }

  /** A version as announced, with a Last-Modified of its own: within a second, nobody could tell two with the same bytes apart. */
  #madeOf(object: StoredObject): { object: StoredObject; version: Version } {
    const id = object.headers[object.headers.indexOf('x-amz-meta-version') + 1]!;
    const { content, partSize } = this.#announced.get(id)!;
    const { bytes } = content;
    if (object.body.length !== bytes.length || !object.body.read(0, bytes.length).equals(bytes))
      throw new Error(`version ${id} came to the origin with other bytes than were sent`);
    const lastModified = Date.UTC(2026, 0, 1) + Number(id) * 1000;
    const checksum = Buffer.from(id.padStart(4, '0')).toString('base64');
    return {
      object: { ...object, lastModified, checksums: [{ algorithm: 'crc32', value: checksum, type: 'FULL_OBJECT' }] },
      version: {
        id,
        etag: object.etag,
        lastModified: new Date(lastModified).toUTCString(),
        bytes,
        partSize,
        checksum,
      },
    };
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
