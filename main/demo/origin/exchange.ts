import type { IncomingMessage, ServerResponse } from 'node:http';
import type { S3ErrorCode } from './errors.ts';
import type { Reply } from './message.ts';
import type { RequestRecord } from './request-log.ts';

type Maybe<T> = Promise<T> | T;

/** Where a test may step in, in the order of a request's life. Each gets the running exchange; all default to nothing. */
export interface Hooks {
  /**
   * When the headers are in and the object is known, before anything is checked. A reply is answered in place of doing
   * anything, the body unread; false: the hook has dealt with the request.
   */
  onRequest?(exchange: Exchange): Maybe<Reply | boolean>;
  /** When a piece of a write's body has been read; the next is read when the promise is done. */
  onPiece?(exchange: Exchange): Maybe<void>;
  /** When a write's body is in (it may have none) and nothing has been changed yet. A reply is answered in place of doing it. */
  onBody?(exchange: Exchange): Maybe<Reply | undefined>;
  /** For each key of a DeleteObjects: the code with which it is refused, if it is. */
  onDelete?(exchange: Exchange, key: string): S3ErrorCode | undefined;
  /** What would be answered; returns what is to be answered in its place, or undefined when it has dealt with it. */
  onReply?(exchange: Exchange, reply: Reply): Maybe<Reply | undefined>;
}

/** One request and its answer, while they last. */
export class Exchange {
  readonly record: RequestRecord;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Resolves when an answer is begun before the request has been carried out */
  readonly begun: Promise<(outcome: Promise<Reply | undefined>) => Reply>;
  /** Answers at once; `answer` is told what comes of the request, as S3 does it with long copies and completions. */
  begin: (answer: (outcome: Promise<Reply | undefined>) => Reply) => void = () => undefined;
  readonly #hooks: Hooks;
  #waitsToGoOn: boolean;

  constructor(record: RequestRecord, request: IncomingMessage, response: ServerResponse, hooks: Hooks) {
    this.record = record;
    this.request = request;
    this.response = response;
    this.#hooks = hooks;
    this.#waitsToGoOn = request.headers.expect?.toLowerCase() === '100-continue';
    this.begun = new Promise(resolve => {
      this.begin = resolve;
    });
  }

  /** The body as it comes; ends when the hooks let the request be carried out, or throws {@link Answered}. */
  async *body(): AsyncGenerator<Buffer> {
    if (this.#waitsToGoOn) this.response.writeContinue();
    this.#waitsToGoOn = false;
    // Left early, where the body is refused, the connection must live on for the answer.
    for await (const chunk of this.request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      this.record.bytesReceived += chunk.length;
      await this.#hooks.onPiece?.(this);
      yield chunk;
    }
    const reply = await this.#hooks.onBody?.(this);
    if (reply) throw new Answered(reply);
  }

  /** The client was never told to send its body: what it sends next on this connection could be either. */
  get mustClose(): boolean {
    return this.#waitsToGoOn;
  }
}

/** Thrown in place of carrying a request out. */
export class Answered extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super('answered by a hook');
    this.reply = reply;
  }
}
