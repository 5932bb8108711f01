import { InvalidArgumentError } from 'commander';

/** What a person names in the cache: `s3://bucket/prefix`. */
export interface S3Uri {
  readonly bucket: string;
  /** What keys begin with; `''` for all. */
  readonly prefix: string;
}

/** For commander: reads an argument, or says what it should be. */
export function s3Uri(text: string): S3Uri {
  const match = /^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]{0,127})(?:\/(.*))?$/s.exec(text);
  if (!match?.[1]) throw new InvalidArgumentError('It must be s3://bucket or s3://bucket/prefix.');
  return { bucket: match[1], prefix: match[2] ?? '' };
}

/** An object or prefix as a person would write it, safe to print: a key may hold whatever bytes somebody chose. */
export function printable({ bucket, prefix }: S3Uri): string {
  return `s3://${bucket}/${escaped(prefix)}`;
}

/** Nothing in it moves a terminal's cursor, or begins a line. */
export function escaped(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    c => `\\u{${c.codePointAt(0)!.toString(16)}}`,
  );
}
