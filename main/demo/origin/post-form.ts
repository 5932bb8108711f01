import { bufferBody } from './bodies.ts';
import { S3Error } from './errors.ts';
import type { Context, Reply, S3Request } from './message.ts';
import { xmlReply } from './message.ts';
import { mayDo, type Principal } from './principals.ts';
import { sign, signingKey } from './sigv4.ts';
import { newObject } from './store.ts';
import { keptHeaders } from './uploads.ts';
import { same } from './verify.ts';
import { element, xmlDocument } from './xml.ts';

interface Form {
  /** By lower-case name, latin1 */
  readonly fields: ReadonlyMap<string, string>;
  readonly file: Buffer;
  readonly fileName: string;
}

/** A browser's upload ("Browser-Based Uploads Using POST"): the signature is over the policy, in the form itself. */
export async function postForm(request: S3Request, context: Context, principals: readonly Principal[]): Promise<Reply> {
  const bucket = context.store.bucket(request.bucket);
  const form = parseForm(await request.readBody(), request.header('content-type') ?? '');
  const template = form.fields.get('key');
  if (template === undefined)
    throw new S3Error('InvalidArgument', "Bucket POST must contain a field named 'key'.", { ArgumentName: 'key' });
  const key = utf8(template).replace(/\$\{filename\}/g, () => form.fileName);
  const principal = verifyPolicy(form, principals, request.bucket, key, context.now);
  const allowed = principal ? mayDo(principal, 'write', bucket.name, key) : bucket.anonymous === 'write';
  if (!allowed) throw new S3Error('AccessDenied', 'Access Denied');
  const headers = keptHeaders([...form.fields].flat());
  const object = newObject(bucket, { key, body: bufferBody(form.file), headers }, context.now);
  bucket.put(object);
  const path = `/${request.bucket}/${encodeURIComponent(key).replaceAll('%2F', '/')}`;
  return answer(
    form.fields,
    ['ETag', object.etag, 'Location', `http://${request.host}${path}`],
    request.bucket,
    key,
    object.etag,
  );
}

function answer(
  fields: ReadonlyMap<string, string>,
  headers: string[],
  bucket: string,
  key: string,
  etag: string,
): Reply {
  const redirect = fields.get('success_action_redirect');
  if (redirect !== undefined) {
    const query = new URLSearchParams({ bucket, key, etag });
    const location = `${redirect}${redirect.includes('?') ? '&' : '?'}${query}`;
    return { status: 303, headers: [...headers.slice(0, 2), 'Location', location], body: { length: 0, chunks: [] } };
  }
  const status = fields.get('success_action_status');
  if (status === '201') {
    const location = headers[3]!;
    const inner =
      element('Location', location) + element('Bucket', bucket) + element('Key', key) + element('ETag', etag);
    return xmlReply(xmlDocument('PostResponse', inner), 201, headers);
  }
  return status === '200' ? { status: 200, headers, body: { length: 0, chunks: [] } } : { status: 204, headers };
}

function verifyPolicy(
  form: Form,
  principals: readonly Principal[],
  bucket: string,
  key: string,
  now: number,
): Principal | undefined {
  const [policy, signature, credential] = ['policy', 'x-amz-signature', 'x-amz-credential'].map(name =>
    form.fields.get(name),
  );
  if (policy === undefined) return undefined;
  const found = /^([^/]+)\/(\d{8}\/[^/]+\/s3\/aws4_request)$/.exec(credential ?? '');
  const principal = principals.find(p => p.accessKeyId === found?.[1]);
  if (!found || !principal)
    throw new S3Error('InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.');
  if (principal.sessionToken !== form.fields.get('x-amz-security-token'))
    throw new S3Error('InvalidToken', 'The provided token is malformed or otherwise invalid.');
  if (signature === undefined || !same(sign(signingKey(principal.secretAccessKey, found[2]!), policy), signature)) {
    throw new S3Error(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    );
  }
  checkConditions(policy, form, bucket, key, now);
  return principal;
}

function checkConditions(policy: string, form: Form, bucket: string, key: string, now: number): void {
  const invalid = () => new S3Error('InvalidPolicyDocument', 'Invalid Policy: Invalid JSON.');
  let document: { expiration?: unknown; conditions?: unknown };
  try {
    document = JSON.parse(Buffer.from(policy, 'base64').toString('utf8'));
  } catch {
    throw invalid();
  }
  const expires = Date.parse(String(document.expiration));
  if (Number.isNaN(expires) || !Array.isArray(document.conditions)) throw invalid();
  if (expires < now) throw new S3Error('AccessDenied', 'Invalid according to Policy: Policy expired.');
  const value = (name: string) =>
    name === 'bucket' ? bucket : name === 'key' ? key : utf8(form.fields.get(name) ?? '');
  for (const condition of document.conditions as unknown[]) {
    if (!holds(condition, value, form.file.length)) {
      throw new S3Error(
        'AccessDenied',
        `Invalid according to Policy: Policy Condition failed: ${JSON.stringify(condition)}`,
      );
    }
  }
}

function holds(condition: unknown, value: (name: string) => string, size: number): boolean {
  if (Array.isArray(condition)) {
    const [operator, first, second] = condition as unknown[];
    if (operator === 'content-length-range') return size >= Number(first) && size <= Number(second);
    const actual = value(String(first).replace(/^\$/, '').toLowerCase());
    if (operator === 'eq') return actual === second;
    return operator === 'starts-with' && actual.startsWith(String(second));
  }
  return Object.entries(condition ?? {}).every(([name, wanted]) => value(name.toLowerCase()) === wanted);
}

/** RFC 7578, as far as browsers and SDKs use it: the file is the last part S3 looks at. */
function parseForm(body: Buffer, contentType: string): Form {
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

function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}
