import { utf8Bytes } from '../request/index.ts';
import { children, childText, parseXml, type XmlRoot } from './xml.ts';

/**
 * Whether the body of a 200 to CopyObject or CompleteMultipartUpload says that nothing was done. S3 sends the 200 before it
 * knows ("a 200 OK response can contain either a success or an error"). A body that can't be read, and an error behind
 * which the work may have been done, count as done.
 */
export function saysFailed(body: Buffer | undefined): boolean {
  const root = body && parseXml(body);
  return root?.name === 'Error' && isCertain(childText(root.content, 'Code'));
}

export interface DeletedKeys {
  /** What may have been deleted. Keys are bytes as latin1. */
  readonly keys: string[];
  /** Those of them under which there is certainly nothing left. */
  readonly gone: string[];
  /** The request could not be read, so that there may be more. */
  readonly incomplete: boolean;
}

/**
 * What a DeleteObjects did: each key in the request may be deleted, but for those of which the answer has an `<Error>` for
 * every mention (quiet mode names no successes). `answer` is undefined where none came or it is too large. A version that
 * was deleted by its id may leave another one.
 */
export function deletedKeys(request: Buffer | undefined, answer: Buffer | undefined): DeletedKeys {
  const result = answer && parseXml(answer);
  if (result?.name === 'Error' && isCertain(childText(result.content, 'Code')))
    return { keys: [], gone: [], incomplete: false };
  const failures = new Map<string, number>();
  const unsure = new Set<string>();
  const keys = new Set<string>();
  if (result?.name === 'DeleteResult') {
    for (const entry of children(result.content, 'Deleted')) {
      const key = childText(entry, 'Key');
      if (key !== undefined) keys.add(key);
    }
    for (const entry of children(result.content, 'Error')) {
      const key = childText(entry, 'Key');
      if (key === undefined) continue;
      unsure.add(key);
      if (isCertain(childText(entry, 'Code'))) failures.set(key, (failures.get(key) ?? 0) + 1);
    }
  }
  const requested = mentions(request && parseXml(request));
  const gone: string[] = [];
  for (const [key, { times, ofVersions }] of requested ?? []) {
    if (times > (failures.get(key) ?? 0)) keys.add(key);
    if (result?.name === 'DeleteResult' && ofVersions === 0 && !unsure.has(key)) gone.push(key);
  }
  return { keys: [...keys].map(utf8Bytes), gone: gone.map(utf8Bytes), incomplete: requested === undefined };
}

interface Mentions {
  times: number;
  /** How many of them name a version. */
  ofVersions: number;
}

/** How often each key is in the request: the same one may be there with several version ids. */
function mentions(root: XmlRoot | undefined): Map<string, Mentions> | undefined {
  if (root?.name !== 'Delete') return undefined;
  const found = new Map<string, Mentions>();
  for (const entry of children(root.content, 'Object')) {
    const key = childText(entry, 'Key');
    if (key === undefined) continue;
    const { times, ofVersions } = found.get(key) ?? { times: 0, ofVersions: 0 };
    const ofVersion = children(entry, 'VersionId').length > 0 ? 1 : 0;
    found.set(key, { times: times + 1, ofVersions: ofVersions + ofVersion });
  }
  return found;
}

/** Errors of S3's own don't tell how far it had come, just as with status 5xx. */
function isCertain(code: string | undefined): boolean {
  return code !== undefined && !SERVER_ERRORS.has(code);
}

const SERVER_ERRORS: ReadonlySet<string> = new Set([
  'InternalError',
  'ServiceUnavailable',
  'SlowDown',
  'Busy',
  'RequestTimeout',
]);
