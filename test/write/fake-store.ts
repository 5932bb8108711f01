import type { CreatedUpload, Head, KeptContent, UploadCopy } from '../../proxy-core/store/index.ts';
import type { UploadKeepingOptions } from '../../proxy-core/write/index.ts';

type KeepingStore = UploadKeepingOptions['store'];

export interface FakeCopy extends UploadCopy {
  readonly options: Parameters<KeepingStore['copyUpload']>[1];
  readonly content: Buffer;
  discarded: boolean;
  busy: boolean;
  lost: string | undefined;
}

/** A store in memory that shows what it was asked to do; what it was told to fail, it fails. */
export class FakeStore implements KeepingStore {
  readonly copies: FakeCopy[] = [];
  readonly published: { key: string; head: Head; content: Buffer; ram: boolean; compress: boolean }[] = [];
  readonly done: unknown[][] = [];
  takes = true;
  /** What `complete` finds: undefined when a part is missing. */
  found: { created: CreatedUpload; length: number } | undefined;
  completed: Head | undefined;

  copyUpload(...[, options]: Parameters<KeepingStore['copyUpload']>): UploadCopy | undefined {
    if (!this.takes) return undefined;
    const chunks: Buffer[] = [];
    const copy: FakeCopy = {
      options,
      get content() {
        return Buffer.concat(chunks);
      },
      discarded: false,
      busy: false,
      lost: undefined,
      push: content => void chunks.push(Buffer.from(content)),
      end: async () => (copy.lost === undefined ? this.#kept(copy) : undefined),
      discard: () => {
        copy.discarded = true;
      },
    };
    this.copies.push(copy);
    return copy;
  }

  async publishUpload(...[address, head, content, options]: Parameters<KeepingStore['publishUpload']>): Promise<void> {
    this.published.push({ key: address.key, head, content: content.small!, ...options });
  }

  readonly multipart: KeepingStore['multipart'] = {
    created: async (address, uploadId, facts) => void this.done.push(['created', address.key, uploadId, facts]),
    keepPart: async (address, uploadId, part, content) =>
      void this.done.push(['part', address.key, uploadId, part, String(content.small)]),
    complete: async (address, uploadId, parts, headFor) => {
      this.done.push(['complete', address.key, uploadId, parts]);
      this.completed = this.found && headFor(this.found.created, this.found.length);
    },
    abort: async (address, uploadId) => void this.done.push(['abort', address.key, uploadId]),
  };

  #kept(copy: FakeCopy): KeptContent {
    return {
      length: copy.content.length,
      small: copy.content,
      files: [],
      handedOver: () => {},
      discard: () => copy.discard(),
    };
  }
}
