import type { ObjectAddress, RawHeaders, Span } from '../../request/index.ts';
import type { Head } from '../head.ts';

/** One file of an upload's content, written aside: a whole extent but for whose it is (`aside.ts`). */
export interface AsideFile {
  readonly path: string;
  /** Of the content; it begins at a multiple of `EXTENT`. */
  readonly span: Span;
  /** Bytes of the file. */
  readonly size: number;
}

/** Content of an upload, aside, not yet anybody's. */
export interface KeptContent {
  readonly length: number;
  /** The whole content where it is at most `SMALL` long; then there are no files. */
  readonly small: Buffer | undefined;
  readonly files: readonly AsideFile[];
  /** This file, or all, are somebody else's from now on, who counts them: what was taken for them is given back. */
  handedOver(file?: AsideFile): void;
  /** Removes what was not handed over. Nothing to do the second time. */
  discard(): void;
}

/**
 * A copy of what one PUT or UploadPart carries, made beside its way to S3. All or nothing: any trouble loses the copy, never
 * the upload.
 */
export interface UploadCopy {
  /** The next bytes, copied at once. Never throws. */
  push(content: Buffer): void;
  /**
   * More waits for the disk than should: the sender may be paused until `onRoom`. When that lasts, the copy gives up by
   * itself.
   */
  readonly busy: boolean;
  /** Why nothing is kept any more; undefined while all is well. */
  readonly lost: string | undefined;
  /** No more comes: resolves when all is aside; undefined when lost. Never rejects. */
  end(): Promise<KeptContent | undefined>;
  /** The upload failed: what was written goes. */
  discard(): void;
}

export interface CopyOptions {
  /** Bytes of the content, where they are known; fewer or more lose the copy. */
  readonly length: number | undefined;
  /** `try`: compress unless the first unit doesn't shrink. */
  readonly compression: 'off' | 'try';
  /** `busy` no longer holds, or the copy is lost. */
  onRoom(): void;
}

/** What the store does for uploads. */
export interface UploadStore {
  /** Undefined where the disk takes nothing now. */
  copyUpload(address: ObjectAddress, options: CopyOptions): UploadCopy | undefined;
  /**
   * Makes kept content the object's current version: a candidate, about which its first reader asks S3. To be called when the
   * object's epoch is being moved on (`moveOn`), or has been. Never rejects; resolves at the latest after the disk's deadline,
   * and goes on in the background where that was not enough.
   *
   * @param options.compress whether a body that lives in the head file is worth a try
   */
  publishUpload(
    address: ObjectAddress,
    head: Head,
    content: KeptContent,
    options: { ram: boolean; compress: boolean },
  ): Promise<void>;
  /** S3 says that the object is deleted: frees its files in the background. To be called when `moveOn` has been through. */
  forget(address: ObjectAddress): void;
}

/** What a CreateMultipartUpload tells of the object to come. */
export interface CreatedUpload {
  /** Headers of its request that a GET will answer. */
  readonly headers: RawHeaders;
  /** Something of the object's head can't be known but from S3. */
  readonly unknowable: boolean;
  /** When S3 began the upload, by its clock; ms. */
  readonly begun?: number | undefined;
}

/** What an UploadPart's answer tells. */
export interface KeptPart {
  readonly number: number;
  readonly etag: string;
  readonly checksums: RawHeaders;
}
