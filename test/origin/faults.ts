import type { Exchange, Hooks, Reply, RequestRecord } from '../../main/demo/origin/index.ts';

/** Which requests a fault concerns; all that is given must fit. */
export interface Match {
  readonly method?: string;
  readonly bucket?: string;
  readonly key?: string;
  readonly when?: (record: RequestRecord) => boolean;
  /** How many requests it takes before it is spent; without it, all */
  readonly times?: number;
}

/** What happens to them. Things that concern the body happen at their byte, in the order in which the bytes come. */
export interface Fault {
  /** Before anything is checked: wait for this promise, or this many milliseconds */
  readonly before?: Promise<unknown> | number;
  /** Before the answer's first byte, when S3 has already decided: the same */
  readonly beforeHeaders?: Promise<unknown> | number;
  /** Answered in place of S3's answer, with an XML error or `body` */
  readonly status?: number;
  readonly code?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  /** Change S3's answer in any other way */
  readonly rewrite?: (reply: Reply, record: RequestRecord) => Reply;
  /** Close the connection without any answer */
  readonly drop?: boolean;
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
  /** Resolves when it first takes effect: for a stall when the bytes before it are out, else when a request meets it */
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
        if (found.fault.stallAfter === undefined) found.strike();
        await pause(found.fault.before);
        if (!found.fault.drop) return true;
        exchange.request.socket.destroy();
        return false;
      },
      onReply: async (exchange, reply) => {
        const found = met.get(exchange.record);
        return found ? meet(found, exchange, reply) : reply;
      },
    };
  }
}

async function meet(set: SetFault, exchange: Exchange, reply: Reply): Promise<Reply> {
  const { fault } = set;
  await pause(fault.beforeHeaders);
  const changed = fault.rewrite ? fault.rewrite(reply, exchange.record) : reply;
  const answered = fault.status === undefined ? changed : scripted(fault, fault.status);
  if (!answered.body) return answered;
  return { ...answered, body: { ...answered.body, chunks: disturbed(set, exchange, answered.body.chunks) } };
}

function scripted(fault: Fault, status: number): Reply {
  const code = fault.code ?? (status === 503 ? 'SlowDown' : status === 403 ? 'AccessDenied' : 'InternalError');
  const body = Buffer.from(
    fault.body ??
      `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>scripted</Message></Error>`,
  );
  return {
    status,
    headers: fault.headers ?? ['Content-Type', 'application/xml'],
    body: { length: body.length, chunks: [body] },
  };
}

/** The body's chunks, cut exactly where something is to happen. */
async function* disturbed(
  set: SetFault,
  exchange: Exchange,
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const { fault } = set;
  const marks = [fault.at?.bytes, fault.stallAfter, fault.cutAfter, fault.resetAfter].filter(
    mark => mark !== undefined,
  );
  const pending = [...new Set(marks)].sort((a, b) => a - b);
  let sent = 0;
  for await (const chunk of chunks) {
    let rest = chunk;
    while (pending[0] !== undefined && pending[0] <= sent + rest.length) {
      const piece = rest.subarray(0, pending[0] - sent);
      rest = rest.subarray(piece.length);
      sent += piece.length;
      if (piece.length > 0) yield piece;
      await happen(set, exchange, pending.shift()!);
    }
    const step = fault.throttle === undefined ? rest.length : Math.ceil(fault.throttle / 20);
    for (let at = 0; at < rest.length; at += step) {
      const piece = rest.subarray(at, at + step);
      if (fault.throttle !== undefined) await pause((piece.length / fault.throttle) * 1000);
      sent += piece.length;
      yield piece;
    }
  }
}

async function happen(set: SetFault, { response, request }: Exchange, byte: number): Promise<void> {
  const { fault } = set;
  if (fault.at?.bytes === byte) await fault.at.run();
  if (fault.stallAfter === byte) {
    await flushed(response);
    set.strike();
    await Promise.race([set.released, new Promise(resolve => response.once('close', resolve))]);
  }
  if (fault.cutAfter === byte) {
    await flushed(response);
    request.socket.destroy();
  }
  if (fault.resetAfter === byte) {
    await flushed(response);
    // libuv tells its user of a plain end when a reset is found together with the data before it: give that time to be read.
    await pause(25);
    request.socket.resetAndDestroy();
  }
}

/** Resolves when what was written so far has left this process, so that a cut falls where the script says. */
async function flushed({ socket }: Exchange['response']): Promise<void> {
  if (!socket || socket.destroyed) return;
  await new Promise<void>(resolve => {
    socket.once('close', resolve);
    socket.write('', () => {
      socket.off('close', resolve);
      resolve();
    });
  });
}

async function pause(what: Promise<unknown> | number | undefined): Promise<void> {
  if (typeof what === 'number') await new Promise(resolve => setTimeout(resolve, what));
  else await what;
}
