import type { NamedPart } from '../store/index.ts';
import { strongEtag } from './uploaded-head.ts';
import { children, childText, parseXml } from './xml.ts';

/** About how many parts the body of a CompleteMultipartUpload names: reading 10,000 of them takes a third of a second. */
export function countParts(request: Buffer): number {
  let count = 0;
  // Opened and closed.
  for (let at = request.indexOf(TAG); at >= 0; at = request.indexOf(TAG, at + 1)) count += 0.5;
  return count;
}

/** The parts that the body of a CompleteMultipartUpload names, in their order; undefined where it is not as S3 asks for. */
export function namedParts(request: Buffer | undefined): NamedPart[] | undefined {
  const root = request && parseXml(request);
  if (root?.name !== 'CompleteMultipartUpload') return undefined;
  const parts: NamedPart[] = [];
  for (const part of children(root.content, 'Part')) {
    const number = Number(/^\s*(\d{1,5})\s*$/.exec(childText(part, 'PartNumber') ?? '')?.[1] ?? 0);
    const etag = quoted(childText(part, 'ETag'));
    if (etag === undefined || number <= (parts.at(-1)?.number ?? 0)) return undefined;
    parts.push({ number, etag });
  }
  return parts.length > 0 ? parts : undefined;
}

export interface CompletedUpload {
  /** Strong, with its quotes. */
  readonly etag: string;
  /** As the headers of a GET in checksum mode: raw. */
  readonly checksums: string[];
  /** How many parts the ETag counts, where it does. */
  readonly count: number | undefined;
}

/** What the answer to a CompleteMultipartUpload says of the object; undefined where it says no ETag. */
export function completedUpload(answer: Buffer | undefined): CompletedUpload | undefined {
  const root = answer && parseXml(answer);
  if (root?.name !== 'CompleteMultipartUploadResult') return undefined;
  const etag = quoted(childText(root.content, 'ETag'));
  if (etag === undefined) return undefined;
  const checksums = CHECKSUMS.flatMap(name => {
    const value = childText(root.content, name)?.trim();
    return value ? [`x-amz-checksum-${name.slice('Checksum'.length).toLowerCase()}`, value] : [];
  });
  const type = childText(root.content, 'ChecksumType')?.trim();
  if (checksums.length > 0 && type) checksums.push('x-amz-checksum-type', type);
  const count = /-(\d{1,5})"$/.exec(etag)?.[1];
  return { etag, checksums, count: count === undefined ? undefined : Number(count) };
}

const TAG = 'PartNumber>';
const CHECKSUMS = ['ChecksumCRC32', 'ChecksumCRC32C', 'ChecksumCRC64NVME', 'ChecksumSHA1', 'ChecksumSHA256'];

/** In XML ETags come with or without their quotes. */
function quoted(etag: string | undefined): string | undefined {
  return strongEtag(etag === undefined ? undefined : `"${etag.trim().replace(/^"|"$/g, '')}"`);
}
