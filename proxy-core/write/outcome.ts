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

/**
 * The keys (bytes as latin1) that a DeleteObjects may have deleted: each in the request, but for those of which the answer
 * has an `<Error>` for every mention (quiet mode names no successes). `answer` is undefined where none came or it is too
 * large. `incomplete` says that the request could not be read, so that there may be more.
 */
export function deletedKeys(
  request: Buffer | undefined,
  answer: Buffer | undefined,
): { readonly keys: string[]; readonly incomplete: boolean } {
  const result = answer && parseXml(answer);
  if (result?.name === 'Error' && isCertain(childText(result.content, 'Code'))) return { keys: [], incomplete: false };
  const failures = new Map<string, number>();
  const deleted: string[] = [];
  if (result?.name === 'DeleteResult') {
    for (const entry of children(result.content, 'Deleted')) {
      const key = childText(entry, 'Key');
      if (key !== undefined) deleted.push(key);
    }
    for (const entry of children(result.content, 'Error')) {
      const key = childText(entry, 'Key');
      if (key !== undefined && isCertain(childText(entry, 'Code'))) failures.set(key, (failures.get(key) ?? 0) + 1);
    }
  }
  const requested = mentions(request && parseXml(request));
  const keys = new Set(deleted);
  for (const [key, times] of requested ?? []) if (times > (failures.get(key) ?? 0)) keys.add(key);
  return { keys: [...keys].map(utf8Bytes), incomplete: requested === undefined };
}

/** How often each key is in the request: the same one may be there with several version ids. */
function mentions(root: XmlRoot | undefined): Map<string, number> | undefined {
  if (root?.name !== 'Delete') return undefined;
  const counts = new Map<string, number>();
  for (const entry of children(root.content, 'Object')) {
    const key = childText(entry, 'Key');
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
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
