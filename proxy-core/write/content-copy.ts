import type { KeptContent, UploadCopy } from '../store/index.ts';
import { AwsChunkedDecoder } from './aws-chunked.ts';
import type { UploadContent } from './upload-content.ts';

export interface ContentCopyOptions {
  readonly content: UploadContent;
  /** Bytes of the largest object that is kept. */
  readonly maxLength: number;
  /** Undefined where the cache takes nothing. Called when there is something to copy. */
  begin(onRoom: () => void): UploadCopy | undefined;
}

/** Copies the content of one upload as its body passes. Whatever goes wrong loses the copy, never the upload. */
export class ContentCopy {
  readonly #options: ContentCopyOptions;
  readonly #decoder: AwsChunkedDecoder | undefined;
  #copy: UploadCopy | undefined;
  #length = 0;
  #ended = false;
  #lost: string | undefined;
  #resume: () => void = () => {};

  constructor(options: ContentCopyOptions) {
    this.#options = options;
    if (options.content.chunked) this.#decoder = new AwsChunkedDecoder();
  }

  /** Why there is no copy, as a token for counters; undefined while all is well. */
  get lost(): string | undefined {
    return this.#lost;
  }

  push(chunk: Buffer, resume: () => void): 'hold' | undefined {
    if (this.#lost !== undefined) return undefined;
    const { length } = this.#options.content;
    this.#resume = resume;
    const copy = this.#begin();
    if (!copy) return undefined;
    if (this.#decoder) for (const slice of this.#decoder.push(chunk)) this.#add(copy, slice);
    else this.#add(copy, chunk);
    if (this.#decoder?.problem !== undefined) this.#lose('undecodable');
    else if (this.#length > this.#limit)
      this.#lose(this.#decoder && length !== undefined ? 'undecodable' : 'too_large');
    else if (copy.lost !== undefined) this.#lose('cache_busy');
    return this.#lost === undefined && copy.busy ? 'hold' : undefined;
  }

  /** The body was whole. */
  requestEnd(): void {
    this.#ended = true;
  }

  /** S3 has taken the upload: the content, once it is aside, or undefined where it is lost. */
  async finish(): Promise<KeptContent | undefined> {
    const { length } = this.#options.content;
    // S3 may answer, and be heard, before the end of a body whose length it knows has come up here.
    const ended = this.#decoder ? this.#decoder.complete : this.#ended || length !== undefined;
    const whole = ended && this.#length === (length ?? this.#length);
    if (!whole) this.#lose(this.#decoder && this.#ended ? 'undecodable' : 'incomplete');
    const content = await this.#begin()?.end();
    if (!content) this.#lose('cache_busy');
    return content;
  }

  discard(): void {
    this.#lose('abandoned');
  }

  get #limit(): number {
    return this.#options.content.length ?? this.#options.maxLength;
  }

  #begin(): UploadCopy | undefined {
    if (this.#lost !== undefined) return undefined;
    this.#copy ??= this.#options.begin(() => this.#resume());
    if (!this.#copy) this.#lose('cache_busy');
    return this.#copy;
  }

  #add(copy: UploadCopy, content: Buffer): void {
    this.#length += content.length;
    if (this.#length <= this.#limit) copy.push(content);
  }

  #lose(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    this.#copy?.discard();
    // Whoever was told to wait must not wait for a copy that is no more.
    this.#resume();
  }
}
