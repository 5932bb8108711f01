/** First and last byte, both inclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * What a Range header asks of `length` bytes. S3 ignores what it does not understand (more than one range, other units,
 * nonsense) and answers with everything; a range that begins past the end is unsatisfiable.
 */
export function resolveRange(header: string | undefined, length: number): Span | 'all' | 'unsatisfiable' {
  const found = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? '');
  if (!found) return 'all';
  const [, first = '', last = ''] = found;
  if (first === '' && last === '') return 'all';
  if (first === '') {
    const suffix = Number(last);
    if (suffix === 0 || length === 0) return 'unsatisfiable';
    return { start: Math.max(0, length - suffix), end: length - 1 };
  }
  const start = Number(first);
  const end = last === '' ? length - 1 : Number(last);
  if (last !== '' && end < start) return 'all';
  if (start >= length) return 'unsatisfiable';
  return { start, end: Math.min(end, length - 1) };
}
