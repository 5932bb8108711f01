import type { ObjectEntry } from '../store/index.ts';
import type { Caller } from './caller.ts';

/** When S3 last let a caller GET, and HEAD, an object; on the volume's clock, ms. */
interface Allowance {
  epoch: string;
  get: number;
  head: number;
  /** When the last request was sent that S3 refused this caller: what it allowed before is over, also if it is heard of later. */
  refused: number;
}

const NEVER = Number.NEGATIVE_INFINITY;

/** Callers remembered for one object; the one that came first goes first. */
const CALLERS = 256;

/**
 * Which caller was let read which object in which epoch, and when. In memory only: after a restart the first read of
 * each caller costs one conditional request. A GET allows GET and HEAD, a HEAD only HEAD (design section 2).
 */
export class Allowances {
  readonly #byObject = new WeakMap<ObjectEntry, Map<Caller, Allowance>>();

  grant(entry: ObjectEntry, caller: Caller, method: 'GET' | 'HEAD', epoch: string, at: number): void {
    const known = this.#byObject.get(entry)?.get(caller);
    if (known && at <= known.refused) return;
    const allowance =
      known?.epoch === epoch ? known : { epoch, get: NEVER, head: NEVER, refused: known?.refused ?? NEVER };
    allowance.head = Math.max(allowance.head, at);
    if (method === 'GET') allowance.get = Math.max(allowance.get, at);
    this.#remember(entry, caller, allowance);
  }

  /** True when S3 let this caller do this at most `age` ms before `now`, in the object's current epoch. */
  allows(entry: ObjectEntry, caller: Caller, method: 'GET' | 'HEAD', age: number, now: number): boolean {
    const allowance = this.#byObject.get(entry)?.get(caller);
    if (!allowance || allowance.epoch !== entry.epoch) return false;
    const at = method === 'GET' ? allowance.get : allowance.head;
    return now - at >= 0 && now - at <= age;
  }

  /** S3 refused this caller, in answer to a request sent at `at`. */
  revoke(entry: ObjectEntry, caller: Caller, at: number): void {
    const refused = Math.max(at, this.#byObject.get(entry)?.get(caller)?.refused ?? NEVER);
    this.#remember(entry, caller, { epoch: entry.epoch, get: NEVER, head: NEVER, refused });
  }

  #remember(entry: ObjectEntry, caller: Caller, allowance: Allowance): void {
    let callers = this.#byObject.get(entry);
    if (!callers) {
      callers = new Map();
      this.#byObject.set(entry, callers);
    }
    if (!callers.has(caller) && callers.size >= CALLERS) {
      const [first] = callers.keys();
      if (first !== undefined) callers.delete(first);
    }
    callers.set(caller, allowance);
  }
}
