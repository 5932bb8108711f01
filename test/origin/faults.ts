import type { Hooks, Reply, RequestRecord, S3ErrorCode } from '../../main/demo/origin/index.ts';
import { answered, scripted } from './fault-answers.ts';
import { pause } from './fault-timing.ts';
import { bodyIn, pieceRead } from './fault-uploads.ts';

/** Which requests a fault concerns; all that is given must fit. */
export interface Match {
  readonly method?: string;
  readonly bucket?: string;
  readonly key?: string;
  readonly when?: (record: RequestRecord) => boolean;
  /** How many requests it takes before it is spent; without it, all */
  readonly times?: number;
}

/** How far a request has come: its headers are in, its body is in, it has been carried out. */
export type Stage = 'head' | 'body' | 'done';

/** What happens to them. Things that concern the body happen at their byte, in the order in which the bytes come. */
export interface Fault {
  /** Before anything is checked: wait for this promise, or this many milliseconds */
  readonly before?: Promise<unknown> | number;
  /** A write, when its body is in and nothing has been changed: the same */
  readonly beforeWrite?: Promise<unknown> | number;
  /** Before the answer's first byte, when S3 has already decided, and a write is done: the same */
  readonly beforeHeaders?: Promise<unknown> | number;
  /** Answered in place of S3's answer, with an XML error or `body` */
  readonly status?: number;
  /**
   * When `status` is answered: `head`, before the body is read; `body`, when it is in, and in both the request is not
   * carried out; or `done` (the default), in place of S3's answer to what it has done, so that nobody can know.
   */
  readonly answerAt?: Stage;
  /**
   * A write is answered with 200 and white space as soon as its body is in; then this promise or time is waited for, then it
   * is carried out, and the rest of the answer follows, an <Error> too: what S3 does with long completions and copies. With
   * `status` and `answerAt: 'body'`, that error is what follows.
   */
  readonly keepAlive?: Promise<unknown> | number;
  /** What is sent at once then: white space (the default), or the XML declaration, and the white space after it */
  readonly keepAliveBy?: 'space' | 'declaration';
  /** DeleteObjects: keys that are refused, and the code */
  readonly deleteErrors?: Readonly<Record<string, S3ErrorCode>>;
  readonly code?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  /** Change S3's answer in any other way */
  readonly rewrite?: (reply: Reply, record: RequestRecord) => Reply;
  /** Close the connection without any answer: at once, when the body is in, or when the write is done */
  readonly drop?: boolean | Stage;
  /** Read a write's body at so many bytes a second */
  readonly readRate?: number;
  /** Read so many bytes of a write's body, then no more until `release()` */
  readonly stopReadingAfter?: number;
  /** Read so many bytes of a write's body, then reset the connection */
  readonly resetUploadAfter?: number;
  /** After so many body bytes: close the connection (FIN) */
  readonly cutAfter?: number;
  /** After so many body bytes: reset it (RST) */
  readonly resetAfter?: number;
  /** After so many body bytes: send nothing more until `release()` */
  readonly stallAfter?: number;
  /** After so many body bytes: run this (overwrite the object, say), then go on */
  readonly at?: { readonly bytes: number; readonly run: () => unknown };
  /** Body bytes per second */
  readonly throttle?: number;
}

/** A fault that has been set: how often it struck, and the ways to wait for it and to end it. */
export class SetFault {
  readonly match: Match;
  readonly fault: Fault;
  hits = 0;
  /**
   * Resolves when it first takes effect: for a stall when the bytes before it are out or read, for what waits at a stage when
   * that is reached, else when a request meets it
   */
  readonly struck: Promise<void>;
  #strike: () => void = () => undefined;
  readonly released: Promise<void>;
  /** Lets stalled answers go on */
  release: () => void = () => undefined;

  constructor(match: Match, fault: Fault) {
    this.match = match;
    this.fault = fault;
    this.struck = new Promise(resolve => {
      this.#strike = resolve;
    });
    this.released = new Promise(resolve => {
      this.release = resolve;
    });
  }

  strike(): void {
    this.#strike();
  }

  takes(record: RequestRecord): boolean {
    const { method, bucket, key, when, times } = this.match;
    if (times !== undefined && this.hits >= times) return false;
    if (method !== undefined && method !== record.method) return false;
    if (bucket !== undefined && bucket !== record.bucket) return false;
    if (key !== undefined && key !== record.key) return false;
    return when === undefined || when(record);
  }
}

/** The script of an origin: the first fault that fits a request is what it meets. */
export class Faults {
  readonly #set: SetFault[] = [];

  on(match: Match, fault: Fault): SetFault {
    const made = new SetFault(match, fault);
    this.#set.push(made);
    return made;
  }

  /** Ends all faults and lets what they hold go on. */
  clear(): void {
    for (const fault of this.#set.splice(0)) fault.release();
  }

  hooks(): Hooks {
    const met = new WeakMap<RequestRecord, SetFault>();
    return {
      onRequest: async exchange => {
        const found = this.#set.find(fault => fault.takes(exchange.record));
        if (!found) return true;
        found.hits++;
        met.set(exchange.record, found);
        const { fault } = found;
        if (!LATER.some(name => fault[name] !== undefined)) found.strike();
        await pause(fault.before);
        if (fault.drop === true || fault.drop === 'head') {
          exchange.request.socket.destroy();
          return false;
        }
        return fault.answerAt === 'head' ? scripted(fault) : true;
      },
      onPiece: async exchange => {
        const found = met.get(exchange.record);
        if (found) await pieceRead(found, exchange);
      },
      onBody: async exchange => {
        const found = met.get(exchange.record);
        return found && bodyIn(found, exchange);
      },
      onDelete: (exchange, key) => met.get(exchange.record)?.fault.deleteErrors?.[key],
      onReply: async (exchange, reply) => {
        const found = met.get(exchange.record);
        return found ? answered(found, exchange, reply) : reply;
      },
    };
  }
}

/** What takes effect some time after a request has met its fault. */
const LATER = ['stallAfter', 'stopReadingAfter', 'beforeWrite', 'beforeHeaders', 'keepAlive'] as const;
