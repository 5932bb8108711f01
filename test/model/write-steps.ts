import type { ChecksumAlgorithm } from '../origin/index.ts';
import type { Thing, Via } from './steps.ts';

/** What goes wrong with a write, or takes long, besides what befalls the object. */
export type Trouble =
  | 'none'
  /** S3 takes the body in slowly. */
  | 'slow'
  /** S3 has the body and does it later; or has done it and tells later. */
  | 'waits'
  | 'late'
  /** S3 does not do it: told before it has the body, or after. */
  | 'refused early'
  | 'refused'
  | 'busy'
  /** S3 does it, and says 500, or nothing. */
  | 'untold 500'
  | 'untold'
  /** The connection ends in the middle of the body, or after it, and S3 does nothing. */
  | 'reset'
  | 'lost'
  /** S3 begins with 200 and white space; then it is done, or the body says why not, or that nobody knows. */
  | 'kept alive'
  | 'kept alive, refused'
  | 'kept alive, unclear'
  /** The client goes away in the middle of the body, or before the answer. */
  | 'leaves'
  | 'leaves late'
  /** The digest that the client sends is of other bytes. */
  | 'wrong sum';

export type Form =
  | 'plain'
  | 'unsigned'
  | 'expect'
  | 'transfer'
  | 'signed'
  | 'signed-trailer'
  | 'unsigned-trailer'
  | 'trailer in transfer'
  | 'presigned';

interface Common {
  readonly of: Thing;
  readonly via: Via;
  /** ms into its wave. */
  readonly after: number;
  readonly trouble: Trouble;
  /** Where in the body it happens, modulo its length. */
  readonly at: number;
}

export interface Put extends Common {
  readonly do: 'put';
  readonly size: number;
  /** The bytes that the object has now, or new ones. */
  readonly content: 'new' | 'same';
  readonly form: Form;
  readonly checksum: ChecksumAlgorithm | 'none';
  /** Which headers describe it (`DESCRIPTIONS`). */
  readonly about: number;
  readonly condition: 'none' | 'if-none-match' | 'if-match' | 'if-match old';
}

export interface PostForm extends Common {
  readonly do: 'post form';
  readonly size: number;
}

export interface Copy extends Common {
  readonly do: 'copy';
  readonly from: Thing;
  /** Its metadata is the source's, or its own. */
  readonly metadata: 'copy' | 'replace';
  readonly about: number;
}

export interface UploadedPart {
  readonly size: number;
  readonly via: Via;
  readonly form: 'plain' | 'signed' | 'unsigned-trailer' | 'transfer';
  /** Comes as a copy of as many bytes of another object, where that is long enough. */
  readonly copied: boolean;
  /** Was uploaded before with other bytes. */
  readonly twice: boolean;
  readonly trouble: Trouble;
}

export interface Multipart extends Common {
  readonly do: 'multipart';
  readonly createVia: Via;
  readonly parts: readonly UploadedPart[];
  readonly order: 'ascending' | 'descending' | 'at once';
  /** Numbers 1, 2, 3, or 2, 4, 6. */
  readonly numbers: 'each' | 'even';
  readonly checksum: 'none' | 'crc32' | 'crc32 whole' | 'crc64nvme' | 'sha256';
  readonly about: number;
  /** `complete old` names the ETag of a part that has been replaced. */
  readonly end: 'complete' | 'complete old' | 'abort' | 'abandon';
}

export interface Delete extends Common {
  readonly do: 'delete';
  readonly version: 'none' | 'current' | 'older';
}

export interface DeleteMany extends Common {
  readonly do: 'delete many';
  readonly quiet: boolean;
  /** Keys of the closed bucket; those of `refused` S3 refuses, for a reason that tells, or doesn't, what became of it. */
  readonly keys: readonly ('plain' | 'guarded')[];
  readonly refused: readonly ('plain' | 'guarded')[];
  readonly code: 'AccessDenied' | 'InternalError';
}

export interface Tag extends Common {
  readonly do: 'tag';
  /** 0: DELETE */
  readonly tags: number;
}

export type Write = Put | PostForm | Copy | Multipart | Delete | DeleteMany | Tag;

/** Flat. The first leaves to S3 what the Content-Type is, the last two what becomes of the metadata. */
export const DESCRIPTIONS: readonly (readonly string[])[] = [
  [],
  ['Content-Type', 'text/csv'],
  [
    ...['Content-Type', 'text/html; charset=utf-8', 'Content-Encoding', 'gzip', 'Content-Language', 'de, en'],
    ...['Content-Disposition', 'attachment; filename="a b.html"', 'Cache-Control', 'max-age=60, public'],
    ...['Expires', 'Thu, 01 Dec 2033 16:00:00 GMT', 'x-amz-meta-colour', 'red'],
  ],
  ['Content-Type', 'image/png', 'x-amz-tagging', 'a=1&b=2', 'x-amz-storage-class', 'STANDARD_IA'],
  ['Content-Type', 'application/json', 'x-amz-server-side-encryption', 'aws:kms', 'x-amz-meta-colour', 'blue'],
  ['Content-Type', 'text/plain', 'x-amz-meta-colour', 'red', 'x-amz-meta-colour', 'green'],
  ['Content-Type', 'text/plain', 'x-amz-meta-empty', ''],
];

/** What writes are made when nothing about them matters. */
export const PLAIN_WRITES: { readonly [W in Write as W['do']]: W } = {
  put: {
    ...{ do: 'put', of: 'plain', via: 0, after: 0, trouble: 'none', at: 0 },
    ...{ size: 1000, content: 'new', form: 'plain', checksum: 'none', about: 1, condition: 'none' },
  },
  'post form': { do: 'post form', of: 'plain', via: 0, after: 0, trouble: 'none', at: 0, size: 1000 },
  copy: {
    ...{ do: 'copy', of: 'plain', via: 0, after: 0, trouble: 'none', at: 0 },
    ...{ from: 'guarded', metadata: 'replace', about: 1 },
  },
  multipart: {
    ...{ do: 'multipart', of: 'plain', via: 0, after: 0, trouble: 'none', at: 0 },
    ...{ createVia: 0, parts: [], order: 'ascending', numbers: 'each', checksum: 'none', about: 1, end: 'complete' },
  },
  delete: { do: 'delete', of: 'plain', via: 0, after: 0, trouble: 'none', at: 0, version: 'none' },
  'delete many': {
    ...{ do: 'delete many', of: 'plain', via: 0, after: 0, trouble: 'none', at: 0 },
    ...{ quiet: false, keys: ['plain'], refused: [], code: 'AccessDenied' },
  },
  tag: { do: 'tag', of: 'plain', via: 0, after: 0, trouble: 'none', at: 0, tags: 1 },
};

export function isWrite(step: { readonly do: string }): step is Write {
  return step.do in PLAIN_WRITES;
}
