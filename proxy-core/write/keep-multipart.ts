import { headerValue, type RawHeaders, type Upload, utf8Bytes } from '../request/index.ts';
import type { CreatedUpload } from '../store/index.ts';
import { decodeAwsChunked, isAwsChunked } from './aws-chunked.ts';
import { BoundedBody } from './bounded-body.ts';
import { completedUpload, countParts, namedParts } from './complete-upload.ts';
import { isAws } from './keep-content.ts';
import type { Keeping } from './types.ts';
import type { WriteHeaders } from './upload-content.ts';
import type { KeepingStore, UploadKeepingOptions } from './upload-keeping.ts';
import { answerHeaders, begunAt, uploadedHead, uploadFacts } from './uploaded-head.ts';
import { childText, parseXml } from './xml.ts';

type Step<S extends Upload['step']> = Extract<Upload, { step: S }>;

/** 10,000 parts, each with an ETag and a checksum, with room for the elements around them */
const COMPLETE_LIMIT = 10 * 2 ** 20;

/** Of all parts but the last (S3 User Guide, "Amazon S3 multipart upload limits"). */
const SMALLEST_PART = 5 * 2 ** 20;

/** Notes what CreateMultipartUpload says of the object to come. */
export class KeepCreate implements Keeping {
  readonly #upload: Step<'create'>;
  readonly #facts: CreatedUpload;
  readonly #store: KeepingStore;
  readonly #since = performance.now();

  constructor(upload: Step<'create'>, headers: WriteHeaders, { store }: UploadKeepingOptions) {
    this.#upload = upload;
    this.#facts = uploadFacts(headers, isAws(upload));
    this.#store = store;
  }

  async accepted(headers: RawHeaders, answer: Buffer | undefined): Promise<void> {
    const result = answer && parseXml(answer);
    const uploadId = childText(result?.content, 'UploadId');
    if (result?.name !== 'InitiateMultipartUploadResult' || uploadId === undefined || uploadId === '') return;
    const told = [...this.#facts.headers, ...answerHeaders(headers)];
    // S3 dates the upload by when it took Create in, which may be some seconds before it answers.
    const begun = begunAt(headers, performance.now() - this.#since);
    const created = { headers: told, unknowable: this.#facts.unknowable, begun };
    await this.#store.multipart.created(this.#upload.object, utf8Bytes(uploadId), created);
  }

  abandoned(): void {}
}

/** Makes the parts that were kept one object, where all that CompleteMultipartUpload names are there. */
export class KeepComplete implements Keeping {
  readonly #upload: Step<'complete'>;
  readonly #options: UploadKeepingOptions;
  readonly #isChunked: boolean;
  readonly #body = new BoundedBody(COMPLETE_LIMIT);
  #answeredAt = Number.POSITIVE_INFINITY;

  constructor(upload: Step<'complete'>, { headers }: WriteHeaders, options: UploadKeepingOptions) {
    this.#upload = upload;
    this.#options = options;
    this.#isChunked = isAwsChunked(headerValue(headers, 'x-amz-content-sha256'));
  }

  onRequestBody(chunk: Buffer): undefined {
    this.#body.push(chunk);
  }

  onHeaders(): void {
    this.#answeredAt = performance.now();
  }

  async accepted(headers: RawHeaders, answer: Buffer | undefined): Promise<void> {
    const { store, settings, onKept, onPassedBy } = this.#options;
    const { object, uploadId } = this.#upload;
    const lasted = Math.max(0, performance.now() - this.#answeredAt);
    const sent = this.#body.whole();
    const body = this.#isChunked && sent ? decodeAwsChunked(sent) : sent;
    if (body && countParts(body) > 1 + settings.write_cache_max_object_size / SMALLEST_PART) {
      onPassedBy('too_large');
      return store.multipart.abort(object, uploadId);
    }
    const parts = namedParts(body);
    const result = completedUpload(answer);
    // Not known to have failed, but not done either: the client asks for it once more.
    if (answer && parseXml(answer)?.name === 'Error') return;
    if (!parts || !result || (result.count ?? parts.length) !== parts.length) {
      onPassedBy('unclear_parts');
      return store.multipart.abort(object, uploadId);
    }
    // Asked for where every part is there.
    let outcome = 'part_missing';
    await store.multipart.complete(object, uploadId, parts, (created, length) => {
      outcome = length > settings.write_cache_max_object_size ? 'too_large' : 'kept';
      if (outcome !== 'kept') return undefined;
      return uploadedHead({ facts: created, length, answer: headers, lasted, ...result });
    });
    if (outcome === 'kept') onKept();
    else onPassedBy(outcome);
  }

  abandoned(): void {}
}

/** Removes what was kept of an upload of which nothing can be kept any more. */
export class DiscardParts implements Keeping {
  readonly #upload: Step<'discard' | 'part'>;
  readonly #store: KeepingStore;

  constructor(upload: Step<'discard' | 'part'>, store: KeepingStore) {
    this.#upload = upload;
    this.#store = store;
  }

  async accepted(): Promise<void> {
    await this.#store.multipart.abort(this.#upload.object, this.#upload.uploadId);
  }

  abandoned(): void {}
}
