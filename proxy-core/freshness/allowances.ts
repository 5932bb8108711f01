import type { ObjectEntry } from '../store/index.ts';
import type { Caller } from './caller.ts';

/** When S3 last let a caller GET, and HEAD, an object; on the volume's clock, ms. */
interface Allowance {
  epoch: string;
  get: number;
  head: number;
}

/** Callers remembered for one object; the one that came first goes first. */
const CALLERS = 256;

/**
 * Which caller was let read which object in which epoch, and when. In memory only: after a restart the first read of
 * each caller costs one conditional request. A GET allows GET and HEAD, a HEAD only HEAD (design section 2).
 */
export class Allowances {
  readonly #byObject = new WeakMap<ObjectEntry, Map<Caller, Allowance>>();

  grant(entry: ObjectEntry, caller: Caller, method: 'GET' | 'HEAD', epoch: string, at: number): void {
    let callers = this.#byObject.get(entry);
    if (!callers) {
      callers = new Map();
      this.#byObject.set(entry, callers);
    }
    const known = callers.get(caller);
    const allowance =
      known?.epoch === epoch ? known : { epoch, get: Number.NEGATIVE_INFINITY, head: Number.NEGATIVE_INFINITY };
    allowance.head = Math.max(allowance.head, at);
    if (method === 'GET') allowance.get = Math.max(allowance.get, at);
    if (!known && callers.size >= CALLERS) {
      const [first] = callers.keys();
      if (first !== undefined) callers.delete(first);
    }
    callers.set(caller, allowance);
  }

  /** True when S3 let this caller do this at most `age` ms before `now`, in the object's current epoch. */
  allows(entry: ObjectEntry, caller: Caller, method: 'GET' | 'HEAD', age: number, now: number): boolean {
    const allowance = this.#byObject.get(entry)?.get(caller);
    if (!allowance || allowance.epoch !== entry.epoch) return false;
    const at = method === 'GET' ? allowance.get : allowance.head;
    return now - at >= 0 && now - at <= age;
  }

  /** S3 refused this caller: what it was allowed before is over. */
  revoke(entry: ObjectEntry, caller: Caller): void {
    this.#byObject.get(entry)?.delete(caller);
  }
}
