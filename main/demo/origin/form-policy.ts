import { S3Error } from './errors.ts';
import { type Form, utf8 } from './form-data.ts';
import type { Principal } from './principals.ts';
import { sign, signingKey } from './sigv4.ts';
import { same } from './verify.ts';

/** Who signed the form's policy, when the form is what the policy allows; undefined without a policy. */
export function verifyPolicy(
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
  checkFields(form.fields, document.conditions);
  for (const condition of document.conditions as unknown[]) {
    const sized = Array.isArray(condition) && condition[0] === 'content-length-range';
    if (sized && form.file.length > Number(condition[2])) {
      throw new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size', {
        ProposedSize: String(form.file.length),
        MaxSizeAllowed: String(condition[2]),
      });
    }
    if (!holds(condition, value, form.file.length)) {
      throw new S3Error(
        'AccessDenied',
        `Invalid according to Policy: Policy Condition failed: ${JSON.stringify(condition)}`,
      );
    }
  }
}

/** "Each form field that you specify (except …) must appear in the list of conditions." */
function checkFields(fields: ReadonlyMap<string, string>, conditions: readonly unknown[]): void {
  const named = new Set(
    conditions.flatMap(condition =>
      Array.isArray(condition)
        ? [String(condition[1]).replace(/^\$/, '').toLowerCase()]
        : Object.keys(condition ?? {}).map(name => name.toLowerCase()),
    ),
  );
  const exempt = /^(policy|x-amz-signature|x-ignore-.*)$/;
  const extra = [...fields.keys()].filter(name => !named.has(name) && !exempt.test(name));
  if (extra.length > 0) {
    throw new S3Error('AccessDenied', `Invalid according to Policy: Extra input fields: ${extra.join(', ')}`);
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
