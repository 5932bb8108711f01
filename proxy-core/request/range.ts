import type { ByteRange, Span } from './types.ts';

/**
 * Reads a Range header (RFC 9110 section 14.1.2).
 *
 * - `none`: there is no header
 * - `invalid`: S3 ignores the header and answers whole (GetObject, "Range"): an unknown unit, first after last, no number
 * - `multi`: more than one range; S3 doesn't support it ("you can retrieve only one range"), so S3 shall say so
 * - `unclear`: a spelling of which isn't known what S3 makes of it: stray white space, odd case, numbers past 2^63
 */
export function parseRange(value: string | undefined): ByteRange | 'none' | 'multi' | 'invalid' | 'unclear' {
  if (value === undefined) return 'none';
  if (value.includes(',')) return 'multi';
  if (!value.startsWith('bytes='))
    return value.trimStart().slice(0, 5).toLowerCase() === 'bytes' ? 'unclear' : 'invalid';
  const dash = value.indexOf('-', 6);
  if (dash < 0) return 'invalid';
  const first = readNumber(value, 6, dash);
  const last = readNumber(value, dash + 1, value.length);
  if (first === 'blank' || last === 'blank' || first === 'huge' || last === 'huge') return 'unclear';
  if (first === 'bad' || last === 'bad') return 'invalid';
  if (first === undefined) return last === undefined ? 'invalid' : { kind: 'suffix', length: last };
  if (last === undefined) return { kind: 'open', start: first };
  return last < first ? 'invalid' : { kind: 'closed', start: first, end: last };
}

/**
 * The bytes a range selects of an object. A suffix of 0 bytes, and any range of an empty object, is unsatisfiable
 * (RFC 9110 section 14.1.2).
 */
export function resolveRange(range: ByteRange, length: number): Span | 'unsatisfiable' {
  switch (range.kind) {
    case 'closed':
      return range.start < length ? { start: range.start, end: Math.min(range.end, length - 1) } : 'unsatisfiable';
    case 'open':
      return range.start < length ? { start: range.start, end: length - 1 } : 'unsatisfiable';
    case 'suffix':
      return range.length > 0 && length > 0
        ? { start: Math.max(0, length - range.length), end: length - 1 }
        : 'unsatisfiable';
  }
}

/**
 * Numbers between 2^53 and 2^63 (the AWS SDK for Java 1 asks for `bytes=5-9223372036854775806`) lie behind the end of any
 * object, which the largest safe integer does, too.
 */
function readNumber(text: string, from: number, to: number): number | undefined | 'bad' | 'blank' | 'huge' {
  if (from === to) return undefined;
  let number = 0;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return text.slice(from, to).trim() !== text.slice(from, to) ? 'blank' : 'bad';
    number = number * 10 + digit;
  }
  if (number <= Number.MAX_SAFE_INTEGER) return number;
  return BigInt(text.slice(from, to)) < 2n ** 63n ? Number.MAX_SAFE_INTEGER : 'huge';
}
