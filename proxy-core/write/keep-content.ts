import { headerValue, type RawHeaders, type Upload } from '../request/index.ts';
import type { CreatedUpload, KeptContent } from '../store/index.ts';
import { ContentCopy } from './content-copy.ts';
import type { Keeping } from './types.ts';
import type { UploadContent, WriteHeaders } from './upload-content.ts';
import type { UploadKeepingOptions } from './upload-keeping.ts';
import { checksumHeaders, strongEtag, uploadedHead, uploadFacts } from './uploaded-head.ts';

type Step<S extends Upload['step']> = Extract<Upload, { step: S }>;

/** Keeps the content of a PutObject as the object's current version, once S3 has taken it. */
export class KeepPut implements Keeping {
  readonly #upload: Step<'put'>;
  readonly #facts: CreatedUpload;
  readonly #options: UploadKeepingOptions;
  readonly #copy: ContentCopy;
  readonly #since = performance.now();

  constructor(upload: Step<'put'>, headers: WriteHeaders, content: UploadContent, options: UploadKeepingOptions) {
    this.#upload = upload;
    this.#facts = uploadFacts(headers, isAws(upload));
    this.#options = options;
    this.#copy = copyOf(upload, this.#facts.headers, content, options);
  }

  onRequestBody(chunk: Buffer, resume: () => void): 'hold' | undefined {
    return this.#copy.push(chunk, resume);
  }

  onRequestEnd(): void {
    this.#copy.requestEnd();
  }

  async accepted(answer: RawHeaders): Promise<void> {
    const { store, settings, mayCompress, onKept, onPassedBy } = this.#options;
    const took = performance.now() - this.#since;
    const content = await this.#copy.finish();
    if (!content) return onPassedBy(this.#copy.lost ?? 'cache_busy');
    const etag = strongEtag(headerValue(answer, 'etag'));
    if (etag === undefined || !isSize(headerValue(answer, 'x-amz-object-size'), content)) {
      content.discard();
      return onPassedBy(etag === undefined ? 'no_strong_etag' : 'incomplete');
    }
    const { length } = content;
    const checksums = checksumHeaders(answer);
    const head = uploadedHead({ facts: this.#facts, etag, length, answer, checksums, took });
    await store.publishUpload(this.#upload.object, head, content, {
      ram: settings.ram_cache_eligible,
      compress: mayCompress(head.headers, length),
    });
    onKept();
  }

  abandoned(): void {
    this.#copy.discard();
  }
}

/** Keeps the content of an UploadPart until its upload is completed or aborted. */
export class KeepPart implements Keeping {
  readonly #upload: Step<'part'>;
  readonly #options: UploadKeepingOptions;
  readonly #copy: ContentCopy;

  constructor(upload: Step<'part'>, content: UploadContent, options: UploadKeepingOptions) {
    this.#upload = upload;
    this.#options = options;
    this.#copy = copyOf(upload, [], content, options);
  }

  onRequestBody(chunk: Buffer, resume: () => void): 'hold' | undefined {
    return this.#copy.push(chunk, resume);
  }

  onRequestEnd(): void {
    this.#copy.requestEnd();
  }

  async accepted(answer: RawHeaders): Promise<void> {
    const content = await this.#copy.finish();
    if (!content) return;
    const etag = strongEtag(headerValue(answer, 'etag'));
    if (etag === undefined) return content.discard();
    const { object, uploadId, number } = this.#upload;
    const part = { number, etag, checksums: checksumHeaders(answer) };
    await this.#options.store.multipart.keepPart(object, uploadId, part, content);
  }

  abandoned(): void {
    this.#copy.discard();
  }
}

/** AWS's own S3, whose documentation is known to hold. */
export function isAws({ object }: Upload): boolean {
  return !object.origin.includes(':');
}

function copyOf(
  { object }: Upload,
  described: RawHeaders,
  content: UploadContent,
  { store, settings, mayCompress }: UploadKeepingOptions,
): ContentCopy {
  return new ContentCopy({
    content,
    maxLength: settings.write_cache_max_object_size,
    begin: onRoom =>
      store.copyUpload(object, {
        length: content.length,
        compression: mayCompress(described, content.length ?? Number.POSITIVE_INFINITY) ? 'try' : 'off',
        onRoom,
      }),
  });
}

/** `x-amz-object-size` is how long the object is now; most answers don't say. */
function isSize(told: string | undefined, { length }: KeptContent): boolean {
  return told === undefined || told === String(length);
}
