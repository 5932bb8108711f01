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
import type { EpochMover, RelayHooks } from './types.ts';

/** 1,000 keys of 1,024 bytes, each byte up to six chars of XML, with room for the elements around them */
const DELETE_LIMIT = 16 * 2 ** 20;
const ANSWER_LIMIT = 2 ** 20;
const FORM_LIMIT = 64 * 2 ** 10;

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
  readonly #epochs: EpochMover;
  readonly #request: Pick<HeaderFacts, 'contentSha256' | 'contentType'>;
  readonly #onProblem: (message: string) => void;
  readonly #requestBody: BoundedBody | undefined;
  readonly #answerBody: BoundedBody | undefined;
  #decideAtEnd = false;

  constructor(
    write: WriteKind,
    epochs: EpochMover,
    request: Pick<HeaderFacts, 'contentSha256' | 'contentType'>,
    /** Hears what a person should know: a change that the cache could not follow */
    onProblem: (message: string) => void,
  ) {
    this.#write = write;
    this.#epochs = epochs;
    this.#request = request;
    this.#onProblem = onProblem;
    this.holdsEnd = write.kind === 'by_body' || write.kind === 'delete_objects';
    if (write.kind === 'delete_objects') this.#requestBody = new BoundedBody(DELETE_LIMIT);
    if (write.kind === 'form_post') this.#requestBody = new BoundedBody(FORM_LIMIT);
    if (this.holdsEnd) this.#answerBody = new BoundedBody(write.kind === 'by_body' ? ANSWER_LIMIT : DELETE_LIMIT);
  }

  onRequestBody(chunk: Buffer): void {
    this.#requestBody?.push(chunk);
  }

  beforeHeaders(status: number, headers: RawHeaders): Promise<void> | undefined {
    const accepted = (status >= 200 && status < 300) || (status === 303 && this.#write.kind === 'form_post');
    if (status >= 500) return this.onUnknownOutcome();
    if (!accepted) return undefined;
    this.#decideAtEnd = this.holdsEnd;
    switch (this.#write.kind) {
      case 'by_status':
        return this.#moveOn(this.#write.objects);
      case 'form_post':
        return this.#formAccepted(status, headerValue(headers, 'location'));
      default:
        return undefined;
    }
  }

  onResponseBody(chunk: Buffer): void {
    if (this.#decideAtEnd) this.#answerBody?.push(chunk);
  }

  beforeEnd(): Promise<void> | undefined {
    if (!this.#decideAtEnd) return undefined;
    const answer = this.#answerBody?.whole();
    if (this.#write.kind === 'by_body') return saysFailed(answer) ? undefined : this.#moveOn(this.#write.objects);
    return this.#deleted(answer, true);
  }

  onUnknownOutcome(): Promise<void> | undefined {
    switch (this.#write.kind) {
      case 'by_status':
      case 'by_body':
        return this.#moveOn(this.#write.objects);
      case 'delete_objects':
        // A request that can't be read was not sent in full, or S3 can't have read it either.
        return this.#deleted(undefined, false);
      case 'form_post':
        return this.#moveOn(this.#addresses(this.#formKeys()));
    }
  }

  #deleted(answer: Buffer | undefined, accepted: boolean): Promise<void> | undefined {
    const sent = this.#requestBody?.whole();
    const plain = sent && isAwsChunked(this.#request.contentSha256) ? decodeAwsChunked(sent) : sent;
    const { keys, incomplete } = deletedKeys(plain, answer);
    if (incomplete && accepted) this.#cannotFollow('A DeleteObjects request', 'its keys could not be read');
    return this.#moveOn(this.#addresses(keys));
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
    return this.#requestBody ? formKeys(this.#requestBody.start(), this.#request.contentType) : [];
  }

  #addresses(keys: readonly string[]): ObjectAddress[] {
    if (this.#write.kind !== 'delete_objects' && this.#write.kind !== 'form_post') return [];
    const { origin, bucket } = this.#write;
    return keys.map(key => objectAddress(origin, bucket, key));
  }

  #cannotFollow(what: string, why: string): void {
    const bucket = this.#write.kind === 'delete_objects' || this.#write.kind === 'form_post' ? this.#write.bucket : '';
    this.#onProblem(
      `${what} to bucket ${bucket} was accepted, but ${why}: what it changed is served until its ttl ends.`,
    );
  }

  #moveOn(objects: readonly ObjectAddress[]): Promise<void> | undefined {
    if (objects.length === 0) return undefined;
    return moveOn(this.#epochs, objects).catch(error => {
      this.#onProblem(`The epochs of ${objects.length} written objects could not be moved on: ${String(error)}`);
    });
  }
}

/** Async, so that what is thrown at once is a rejection, too. */
async function moveOn(epochs: EpochMover, objects: readonly ObjectAddress[]): Promise<void> {
  await epochs.moveOn(objects);
}
