import type { Writing } from '../head.ts';

/** Which writing something is of, as files have it; what is not known is not there. */
export interface StoredWriting {
  readonly last_modified?: number | undefined;
  readonly written?: number | undefined;
  readonly begun?: number | undefined;
  readonly s3_version?: string | undefined;
}

export function encodeWriting({ lastModified, written, begun, s3Version }: Writing): StoredWriting {
  return { last_modified: lastModified, written, begun, s3_version: s3Version };
}

export function decodeWriting({ last_modified, written, begun, s3_version }: StoredWriting): Writing {
  return { lastModified: last_modified, written, begun, s3Version: s3_version };
}
