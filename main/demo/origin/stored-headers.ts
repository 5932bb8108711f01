import { S3Error } from './errors.ts';

/** Headers that S3 keeps with an object and gives back with it, by lower-case name. */
const KEPT = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
]);
/** Said of the object to be made, never taken over by a copy. */
const OF_THE_WRITE = new Set(['x-amz-storage-class', 'x-amz-website-redirect-location']);
const ENCRYPTION = 'x-amz-server-side-encryption';
/** All user metadata together, names and values ("Working with object metadata") */
const MOST_METADATA = 2048;

/** What of an upload's headers becomes the object's; S3 gives names back in this spelling. */
export function keptHeaders(headers: readonly string[]): string[] {
  return [...writeHeaders(headers), ...describing(headers)];
}

/** What a copy that takes over its source's metadata has: that, and for the rest what the request says. */
export function copiedHeaders(source: readonly string[], headers: readonly string[]): string[] {
  return [...writeHeaders(headers), ...describing(source)];
}

/** The encryption of an object, as every answer about it and to writing it says. */
export function encryptionHeaders(kept: readonly string[]): string[] {
  return pairs(kept)
    .filter(([name]) => name.startsWith(ENCRYPTION))
    .flat();
}

export function hasMd5Etag(kept: readonly string[]): boolean {
  return !pairs(kept).some(([name, value]) => name === ENCRYPTION && value.startsWith('aws:kms'));
}

export function storageClass(kept: readonly string[]): string {
  return pairs(kept).find(([name]) => name === 'x-amz-storage-class')?.[1] ?? 'STANDARD';
}

/** Can its content be read only after a RestoreObject? */
export function isArchive(kept: readonly string[]): boolean {
  return ['GLACIER', 'DEEP_ARCHIVE'].includes(storageClass(kept));
}

/** Encryption (S3 encrypts all, and names it), storage class and redirect. */
function writeHeaders(headers: readonly string[]): string[] {
  let encryption = [ENCRYPTION, 'AES256'];
  const kept: string[] = [];
  for (const [name, value] of lowered(headers)) {
    if (name.startsWith(`${ENCRYPTION}-customer-`)) encryption = [];
    else if (name === ENCRYPTION) encryption[1] = value;
    else if (name.startsWith(ENCRYPTION) && name !== `${ENCRYPTION}-context`) encryption.push(name, value);
    if (OF_THE_WRITE.has(name) && value !== '' && value !== 'STANDARD') kept.push(name, value);
  }
  return [...encryption, ...kept];
}

/** What describes the content, and the user's metadata: a name that came twice once, its values joined. */
function describing(headers: readonly string[]): string[] {
  const kept = new Map<string, string>();
  let metadata = 0;
  for (const [name, came] of lowered(headers)) {
    const isMetadata = name.startsWith('x-amz-meta-');
    const value = name === 'content-encoding' ? withoutAwsChunked(came) : came;
    if (isMetadata) metadata += name.length - 'x-amz-meta-'.length + value.length;
    if (!isMetadata && (!KEPT.has(name) || value === '')) continue;
    const before = kept.get(name);
    kept.set(name, before === undefined ? value : `${before},${value}`);
  }
  if (metadata > MOST_METADATA) {
    throw new S3Error('MetadataTooLarge', 'Your metadata headers exceed the maximum allowed metadata size', {
      Size: String(metadata),
      MaxSizeAllowed: String(MOST_METADATA),
    });
  }
  return [...kept].flatMap(([name, value]) => [spelled(name), value]);
}

function withoutAwsChunked(value: string): string {
  return value
    .split(',')
    .map(coding => coding.trim())
    .filter(coding => coding.toLowerCase() !== 'aws-chunked')
    .join(',');
}

function spelled(name: string): string {
  return name.startsWith('x-amz-') ? name : name.replace(/(^|-)[a-z]/g, start => start.toUpperCase());
}

function lowered(headers: readonly string[]): [string, string][] {
  return pairs(headers).map(([name, value]) => [name.toLowerCase(), value]);
}

function pairs(headers: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) found.push([headers[i]!, headers[i + 1]!]);
  return found;
}
