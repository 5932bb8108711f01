import {
  type HeaderFacts,
  headerValue,
  type ObjectAddress,
  objectAddress,
  type RawHeaders,
  type WriteKind,
} from '../request/index.ts';
import { decodeAwsChunked, isAwsChunked } from './aws-chunked.ts';
import { BoundedBody } from './bounded-body.ts';
import { formKeys, locationKeys } from './form.ts';
import { deletedKeys, saysFailed } from './outcome.ts';
import type { ChangedObjects, Keeping, RelayHooks } from './types.ts';

/** 1,000 keys of 1,024 bytes, each byte up to six chars of XML, with room for the elements around them */
const DELETE_LIMIT = 16 * 2 ** 20;
const ANSWER_LIMIT = 2 ** 20;
const FORM_LIMIT = 64 * 2 ** 10;

export interface WriteWatchOptions {
  readonly changed: ChangedObjects;
  readonly request: Pick<HeaderFacts, 'contentSha256' | 'contentType'>;
  /** What is kept of the write. */
  readonly keeping: Keeping | undefined;
  /** How long the client of an accepted write waits at most for that, ms. It goes on being kept. */
  readonly patience: number;
  /** Hears what a person should know: a change that the cache could not follow */
  readonly onProblem: (message: string) => void;
}

/**
 * Watches one write and moves the epochs of the objects it changed, or may have changed, after S3's answer and before the
 * client hears of it. One per request. Nothing here rejects: a write is never failed for the cache's sake.
 *
 * What S3 answers with 4xx or a redirect it has not done. After a 5xx, a cut connection or an answer that can't be read,
 * the outcome is unknown: moving on for nothing costs one question to S3, not moving on could serve stale bytes.
 */
export class WriteWatch implements RelayHooks {
  readonly holdsEnd: boolean;
  readonly #write: WriteKind;
  readonly #options: WriteWatchOptions;
  readonly #requestBody: BoundedBody | undefined;
  readonly #answerBody: BoundedBody | undefined;
  /** Of an answer whose body tells the outcome. */
  #headers: RawHeaders | undefined;
  /** Not told how the write ended yet. */
  #keeping: Keeping | undefined;

  constructor(write: WriteKind, options: WriteWatchOptions) {
    this.#write = write;
    this.#options = options;
    this.#keeping = options.keeping;
    this.holdsEnd = write.kind === 'by_body' || write.kind === 'delete_objects';
    if (write.kind === 'delete_objects') this.#requestBody = new BoundedBody(DELETE_LIMIT);
    if (write.kind === 'form_post') this.#requestBody = new BoundedBody(FORM_LIMIT);
    if (this.holdsEnd) this.#answerBody = new BoundedBody(write.kind === 'by_body' ? ANSWER_LIMIT : DELETE_LIMIT);
  }

  onRequestBody(chunk: Buffer, resume: () => void): 'hold' | undefined {
    this.#requestBody?.push(chunk);
    return this.#keeping?.onRequestBody?.(chunk, resume);
  }

  onRequestEnd(): void {
    this.#keeping?.onRequestEnd?.();
  }

  beforeHeaders(status: number, headers: RawHeaders): Promise<void> | undefined {
    const accepted = (status >= 200 && status < 300) || (status === 303 && this.#write.kind === 'form_post');
    if (status >= 500) return this.onUnknownOutcome();
    if (!accepted) {
      this.onNotDone();
      return undefined;
    }
    switch (this.#write.kind) {
      case 'by_status':
      case 'delete':
        return this.#done(this.#objects(), headers, undefined);
      case 'form_post':
        return this.#formAccepted(status, headerValue(headers, 'location'));
      case 'by_body':
      case 'delete_objects':
        this.#headers = headers;
        this.#keeping?.onHeaders?.();
        return undefined;
    }
  }

  onResponseBody(chunk: Buffer): void {
    if (this.#headers) this.#answerBody?.push(chunk);
  }

  beforeEnd(): Promise<void> | undefined {
    const headers = this.#headers;
    if (!headers) return undefined;
    const answer = this.#answerBody?.whole();
    if (this.#write.kind === 'delete_objects') return this.#deleted(answer, true);
    if (!saysFailed(answer)) return this.#done(this.#objects(), headers, answer);
    this.onNotDone();
    return undefined;
  }

  onUnknownOutcome(): Promise<void> | undefined {
    this.onNotDone();
    switch (this.#write.kind) {
      case 'by_status':
      case 'by_body':
      case 'delete':
        return this.#moveOn(this.#objects());
      case 'delete_objects':
        // A request that can't be read was not sent in full, or S3 can't have read it either.
        return this.#deleted(undefined, false);
      case 'form_post':
        return this.#moveOn(this.#addresses(this.#formKeys()));
    }
  }

  onNotDone(): void {
    const keeping = this.#keeping;
    this.#keeping = undefined;
    keeping?.abandoned();
  }

  /** Epochs first: what is kept belongs to the time after the write. */
  #done(objects: readonly ObjectAddress[], headers: RawHeaders, answer: Buffer | undefined): Promise<void> | undefined {
    const moving = this.#moveOn(objects, this.#write.kind === 'delete' ? objects : []);
    const keeping = this.#keeping && this.#keep(this.#keeping.accepted(headers, answer));
    this.#keeping = undefined;
    return moving && keeping ? Promise.all([moving, keeping]).then(() => {}) : (moving ?? keeping);
  }

  #keep(keeping: Promise<void>): Promise<void> {
    const { patience, onProblem } = this.#options;
    return new Promise(resolve => {
      const timer = setTimeout(resolve, patience);
      keeping
        .catch(error => onProblem(`An upload could not be kept: ${String(error)}`))
        .finally(() => {
          clearTimeout(timer);
          resolve();
        });
    });
  }

  #objects(): readonly ObjectAddress[] {
    const write = this.#write;
    if (write.kind === 'delete') return [write.object];
    return write.kind === 'by_status' || write.kind === 'by_body' ? write.objects : [];
  }

  #deleted(answer: Buffer | undefined, accepted: boolean): Promise<void> | undefined {
    const sent = this.#requestBody?.whole();
    const plain = sent && isAwsChunked(this.#options.request.contentSha256) ? decodeAwsChunked(sent) : sent;
    const { keys, gone, incomplete } = deletedKeys(plain, answer);
    if (incomplete && accepted) this.#cannotFollow('A DeleteObjects request', 'its keys could not be read');
    return this.#moveOn(this.#addresses(keys), this.#addresses(gone));
  }

  /** S3 goes by the form. Location tells the same and more, since it may be all there is to go by. */
  #formAccepted(status: number, location: string | undefined): Promise<void> | undefined {
    const bucket = this.#write.kind === 'form_post' ? this.#write.bucket : '';
    const fromLocation = location === undefined ? [] : locationKeys(status, location, bucket);
    const keys = new Set([...this.#formKeys(), ...fromLocation]);
    if (keys.size === 0) this.#cannotFollow('A form upload', 'its key could not be learnt');
    return this.#moveOn(this.#addresses([...keys]));
  }

  #formKeys(): string[] {
    return this.#requestBody ? formKeys(this.#requestBody.start(), this.#options.request.contentType) : [];
  }

  #addresses(keys: readonly string[]): ObjectAddress[] {
    if (this.#write.kind !== 'delete_objects' && this.#write.kind !== 'form_post') return [];
    const { origin, bucket } = this.#write;
    return keys.map(key => objectAddress(origin, bucket, key));
  }

  #cannotFollow(what: string, why: string): void {
    const bucket = this.#write.kind === 'delete_objects' || this.#write.kind === 'form_post' ? this.#write.bucket : '';
    this.#options.onProblem(
      `${what} to bucket ${bucket} was accepted, but ${why}: what it changed is served until its ttl ends.`,
    );
  }

  /** @param gone those of the objects of which nothing needs to be kept */
  #moveOn(objects: readonly ObjectAddress[], gone: readonly ObjectAddress[] = []): Promise<void> | undefined {
    if (objects.length === 0) return undefined;
    return moveOn(this.#options.changed, objects, gone).catch(error => {
      this.#options.onProblem(
        `The epochs of ${objects.length} written objects could not be moved on: ${String(error)}`,
      );
    });
  }
}

/** Async, so that what is thrown at once is a rejection, too. */
async function moveOn(
  changed: ChangedObjects,
  objects: readonly ObjectAddress[],
  gone: readonly ObjectAddress[],
): Promise<void> {
  await changed.moveOn(objects);
  for (const object of gone) changed.forget(object);
}
