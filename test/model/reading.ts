import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { ALICE, BOB } from '../origin/index.ts';
import type { Ask, Client } from '../read/client.ts';
import { type Asked, expectedOf, partsOf } from './expected.ts';
import type { Seen } from './judge.ts';
import type { Read } from './steps.ts';
import type { Subject } from './world.ts';

export interface Reading {
  readonly ask: Ask;
  readonly asked: Asked;
  /** Resolves when the reader pauses for the first time, or has ended. */
  readonly restsOrEnds: Promise<unknown>;
  readonly ends: Promise<Seen>;
}

/**
 * Sends a read and takes its answer at the pace it asks for. `turns(n)` resolves n waves later; `at` is when it is signed. An
 * answer that has not come to its end after `patience` ms, the reader's own pauses apart, never will.
 */
export function startReading(
  step: Read,
  subject: Subject,
  client: Client,
  turns: (n: number) => Promise<void>,
  { at, patience }: { readonly at: number; readonly patience: number },
): Reading {
  const { ask, asked } = composed(step, subject, at);
  let rests: () => void = () => {};
  const resting = new Promise<void>(resolve => {
    rests = resolve;
  });
  const ends = receive(client.start(ask), { step, subject, asked, patience }, async waves => {
    rests();
    await turns(waves);
  });
  const restsOrEnds = Promise.race([resting, ends]);
  // Who does not wait for this hears it by `ends`.
  restsOrEnds.catch(() => {});
  return { ask, asked, ends, restsOrEnds };
}

/** The request, made to fit what the object is now. */
function composed(step: Read, { bucket, key, versions }: Subject, at: number): { ask: Ask; asked: Asked } {
  const now = versions.now;
  const older = versions.all.findLast(({ what }) => what && what.etag !== now?.etag)?.what;
  const range = rangeText(step, now?.bytes.length ?? 0);
  const part = step.want.what === 'part' ? 1 + ((step.want.number - 1) % (now ? partsOf(now) + 1 : 1)) : undefined;
  const etag = (step.condition.endsWith('old') ? older?.etag : now?.etag) ?? '"0123456789abcdef0123456789abcdef"';
  const condition = step.condition.split(' ')[0]!;
  const ifRange = condition === 'if-range' && range !== undefined ? etag : undefined;
  const asked: Asked = {
    method: step.method,
    range,
    part: step.method === 'GET' ? part : undefined,
    ifMatch: condition === 'if-match' ? etag : undefined,
    ifNoneMatch: condition === 'if-none-match' ? etag : undefined,
    ifRange,
    checksums: step.checksums,
  };
  const own = [
    ...(range === undefined ? [] : ['Range', range]),
    ...(asked.ifMatch === undefined ? [] : ['If-Match', etag]),
    ...(asked.ifNoneMatch === undefined ? [] : ['If-None-Match', etag]),
    ...(ifRange === undefined ? [] : ['If-Range', etag]),
  ];
  // What a presigned URL signs beside the host is in its query, and no client of one asks for checksums by a header.
  const byUrl = step.signs === 'url' && step.by !== 'nobody';
  const anew = step.anew ? ['Cache-Control', 'no-cache'] : [];
  const checksums = asked.checksums && !byUrl ? ['x-amz-checksum-mode', 'ENABLED'] : [];
  const unsigned = step.signs === 'range too' ? [] : own.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase());
  const ask: Ask = {
    bucket,
    key,
    at,
    method: step.method,
    who: step.by === 'nobody' ? null : step.by === 'bob' ? BOB : ALICE,
    headers: [...own, ...checksums, ...anew],
    unsigned: [...unsigned, 'cache-control'],
    ...(asked.part === undefined ? {} : { query: `?partNumber=${asked.part}` }),
    ...(byUrl ? { expires: 86_400 } : {}),
  };
  return { ask, asked: { ...asked, checksums: checksums.length > 0 } };
}

function rangeText({ want }: Read, length: number): string | undefined {
  if (want.what !== 'range') return undefined;
  const at = want.at % (length + 2);
  if (want.form === 'suffix') return `bytes=-${Math.min(at, want.length)}`;
  return want.form === 'open' ? `bytes=${at}-` : `bytes=${at}-${at + want.length}`;
}

async function receive(
  sent: ClientRequest,
  { step, subject, asked, patience }: { step: Read; subject: Subject; asked: Asked; patience: number },
  rest: (waves: number) => Promise<void>,
): Promise<Seen> {
  const none = {
    header: () => undefined,
    names: [],
    length: 0,
    wrongAt: undefined,
    error: '',
    complete: false,
    left: false,
  };
  let hung = false;
  const watch = () =>
    setTimeout(() => {
      hung = true;
      sent.destroy();
    }, patience);
  let timer = watch();
  try {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const body = new BodyCheck(response, subject, asked);
    const mark = step.pace.how === 'slow' ? step.pace.pauseAt : step.pace.how === 'leaves' ? step.pace.at : undefined;
    let left = false;
    if (mark !== undefined && (await body.until(mark % Math.max(1, body.due))) === 'mark') {
      if (step.pace.how === 'slow') {
        clearTimeout(timer);
        await rest(step.pace.waves);
        timer = watch();
      } else {
        left = true;
        response.destroy();
      }
    }
    await body.until(Number.POSITIVE_INFINITY);
    if (hung) throw new Error(`no end of the answer after ${patience} ms, ${body.length} bytes came`);
    const headers = response.headers;
    return {
      status: response.statusCode ?? 0,
      header: name => headers[name]?.toString(),
      names: Object.keys(headers),
      length: body.length,
      wrongAt: body.wrongAt,
      error: body.error,
      complete: response.complete && !left,
      left,
      endedAt: performance.now(),
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined && hung) throw error;
    if (hung) throw new Error(`no answer after ${patience} ms`);
    if (code !== 'ECONNRESET' && code !== 'ECONNREFUSED' && code !== 'EPIPE') throw error;
    return { status: 0, ...none, endedAt: performance.now() };
  } finally {
    clearTimeout(timer);
  }
}

/** Compares a body with its version's bytes as it comes. */
class BodyCheck {
  readonly #response: IncomingMessage;
  readonly #due: Buffer | undefined;
  length = 0;
  wrongAt: number | undefined;
  /** As text, where the answer is an error. */
  error = '';
  #mark = 0;
  #reached: (how: 'mark' | 'end') => void = () => {};
  #ended = false;

  constructor(response: IncomingMessage, { versions }: Subject, asked: Asked) {
    this.#response = response;
    const { 'x-amz-meta-version': id, 'last-modified': lastModified } = response.headers;
    const known = versions.all.flatMap(({ what }) => (what?.id === id ? (what ?? []) : []));
    const version = known.find(what => what.lastModified === lastModified) ?? known[0];
    const expected = version && expectedOf(version, asked);
    if (version && expected && 'start' in expected) this.#due = version.bytes.subarray(expected.start, expected.end);
    response.on('error', () => {});
    response.on('close', () => {
      this.#ended = true;
      this.#reached('end');
    });
    response.on('data', (chunk: Buffer) => this.#take(chunk));
    response.pause();
  }

  /** Bytes that should come. */
  get due(): number {
    return this.#due?.length ?? 0;
  }

  /** Goes on reading until so many bytes have come, and pauses there. */
  until(mark: number): Promise<'mark' | 'end'> {
    if (this.#ended) return Promise.resolve('end');
    if (this.length >= mark) return Promise.resolve('mark');
    this.#mark = mark;
    this.#response.resume();
    return new Promise(resolve => {
      this.#reached = resolve;
    });
  }

  #take(chunk: Buffer): void {
    if (this.#due && this.wrongAt === undefined) {
      const due = this.#due.subarray(this.length, this.length + chunk.length);
      if (!due.equals(chunk)) {
        const at = chunk.findIndex((byte, i) => byte !== due[i]);
        this.wrongAt = this.length + at;
      }
    }
    if ((this.#response.statusCode ?? 0) >= 400) this.error += chunk.toString('latin1');
    this.length += chunk.length;
    if (this.length < this.#mark) return;
    this.#response.pause();
    this.#reached('mark');
  }
}
