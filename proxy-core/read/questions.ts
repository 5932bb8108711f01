import type { Caller } from '../freshness/index.ts';
import type { ObjectEntry } from '../store/index.ts';

type Method = 'GET' | 'HEAD';

/**
 * What S3 is being asked about objects on behalf of which callers. What it answers to one read of a caller's holds for the
 * caller's others, as far as a ttl lets it: they wait instead of asking the same (design section 8).
 */
export class Questions {
  readonly #byObject = new WeakMap<ObjectEntry, Map<string, Promise<void>>>();

  /** Resolves when S3 has answered a question of this caller's that is on its way, whatever it says. A GET's answer holds for a HEAD. */
  running(entry: ObjectEntry, epoch: string, caller: Caller, method: Method): Promise<void> | undefined {
    const questions = this.#byObject.get(entry);
    if (!questions) return undefined;
    const ofGet = questions.get(nameOf('GET', epoch, caller));
    return ofGet ?? (method === 'HEAD' ? questions.get(nameOf('HEAD', epoch, caller)) : undefined);
  }

  /** A question is on its way. Returns the way to say that what S3 answered is known now; undefined where another one already stands for it. */
  begin(entry: ObjectEntry, epoch: string, caller: Caller, method: Method): (() => void) | undefined {
    const questions = this.#byObject.get(entry) ?? new Map<string, Promise<void>>();
    this.#byObject.set(entry, questions);
    const name = nameOf(method, epoch, caller);
    if (questions.has(name)) return undefined;
    let answered!: () => void;
    const question = new Promise<void>(resolve => {
      answered = resolve;
    });
    questions.set(name, question);
    return () => {
      // It may be said more than once, and the next one may have begun by then.
      if (questions.get(name) === question) questions.delete(name);
      answered();
    };
  }
}

function nameOf(method: Method, epoch: string, caller: Caller): string {
  return `${method} ${epoch} ${caller}`;
}
