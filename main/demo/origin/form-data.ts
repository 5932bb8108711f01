import { S3Error } from './errors.ts';

export interface Form {
  /** By lower-case name, latin1 */
  readonly fields: ReadonlyMap<string, string>;
  readonly file: Buffer;
  readonly fileName: string;
}

/** RFC 7578, as far as browsers and SDKs use it: the file is the last part S3 looks at. */
export function parseForm(body: Buffer, contentType: string): Form {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1];
  const malformed = () =>
    new S3Error('MalformedPOSTRequest', 'The body of your POST request is not well-formed multipart/form-data.');
  if (!contentType.toLowerCase().startsWith('multipart/form-data') || boundary === undefined) throw malformed();
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const whole = Buffer.concat([Buffer.from('\r\n'), body]);
  const fields = new Map<string, string>();
  for (let at = whole.indexOf(delimiter); at >= 0; ) {
    const start = at + delimiter.length + 2;
    const next = whole.indexOf(delimiter, start);
    const headEnd = whole.indexOf('\r\n\r\n', start);
    if (next < 0 || headEnd < 0 || headEnd > next) break;
    const head = whole.toString('utf8', start, headEnd);
    const content = whole.subarray(headEnd + 4, next);
    const name = /name="([^"]*)"/i.exec(head)?.[1];
    if (name === undefined) throw malformed();
    if (name.toLowerCase() === 'file')
      return { fields, file: content, fileName: /filename="([^"]*)"/i.exec(head)?.[1] ?? '' };
    fields.set(name.toLowerCase(), content.toString('latin1'));
    at = next;
  }
  throw new S3Error('InvalidArgument', 'POST requires exactly one file upload per request.', { ArgumentName: 'file' });
}

/** A field's text. */
export function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}
