import { timingSafeEqual } from 'node:crypto';
import { S3Error } from './errors.ts';
import type { Principal } from './principals.ts';
import { canonicalRequest, sign, signingKey, stringToSign } from './sigv4.ts';

/** How the body of a request is vouched for (x-amz-content-sha256). */
export type PayloadRule =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'sha256'; readonly hex: string }
  | { readonly kind: 'chunked'; readonly trailer: boolean; readonly chain: SignatureChain | undefined };

/** What signs the chunks of an aws-chunked body: each signature is made over the one before. */
export interface SignatureChain {
  readonly key: Buffer;
  readonly date: string;
  readonly scope: string;
  readonly seed: string;
}

export interface Verified {
  /** undefined: nobody signed */
  readonly principal: Principal | undefined;
  readonly payload: PayloadRule;
}

export interface VerifyInput {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly header: (name: string) => string | undefined;
  readonly query: ReadonlyMap<string, string>;
}

export interface VerifySettings {
  readonly principals: readonly Principal[];
  /** The only Region whose signatures are taken; undefined takes any */
  readonly region: string | undefined;
  readonly now: number;
}

const SKEW = 15 * 60_000;
const STREAMING = /^STREAMING-(?:AWS4-HMAC-SHA256|UNSIGNED)-PAYLOAD(-TRAILER)?$/;

/** Checks a request's signature as S3 does, from what was on the wire. Throws the S3Error that S3 would answer. */
export function verify(input: VerifyInput, settings: VerifySettings): Verified {
  const authorization = input.header('authorization');
  const presigned = input.query.has('X-Amz-Algorithm') || input.query.has('X-Amz-Signature');
  if (authorization !== undefined && presigned) {
    throw new S3Error(
      'InvalidArgument',
      'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
    );
  }
  if (authorization === undefined && !presigned)
    return { principal: undefined, payload: payloadRule(input, undefined) };
  return check(
    input,
    settings,
    presigned ? fromQuery(input, settings.now) : fromHeader(input, authorization!, settings.now),
  );
}

interface Claim {
  readonly accessKeyId: string;
  readonly scope: string;
  readonly region: string;
  readonly date: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly token: string | undefined;
  readonly payloadHash: string;
}

function check(input: VerifyInput, settings: VerifySettings, claim: Claim): Verified {
  if (settings.region !== undefined && claim.region !== settings.region) {
    const message = `The authorization header is malformed; the region '${claim.region}' is wrong; expecting '${settings.region}'`;
    throw new S3Error('AuthorizationHeaderMalformed', message, { Region: settings.region });
  }
  const principal = settings.principals.find(p => p.accessKeyId === claim.accessKeyId);
  if (!principal) {
    throw new S3Error('InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.', {
      AWSAccessKeyId: claim.accessKeyId,
    });
  }
  if (principal.sessionToken !== claim.token) {
    throw new S3Error('InvalidToken', 'The provided token is malformed or otherwise invalid.');
  }
  checkSignedHeaders(input, claim);
  const key = signingKey(principal.secretAccessKey, claim.scope);
  const canonical = canonicalRequest({
    method: input.method,
    target: input.target,
    headers: input.headers,
    signedHeaders: claim.signedHeaders,
    payloadHash: claim.payloadHash,
  });
  const toSign = stringToSign(canonical, claim.date, claim.scope);
  if (!same(sign(key, toSign), claim.signature)) {
    throw new S3Error(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
      {
        AWSAccessKeyId: claim.accessKeyId,
        StringToSign: toSign,
        SignatureProvided: claim.signature,
        CanonicalRequest: canonical,
      },
    );
  }
  const chain = { key, date: claim.date, scope: claim.scope, seed: claim.signature };
  return { principal, payload: payloadRule(input, chain, claim.payloadHash) };
}

function fromHeader(input: VerifyInput, authorization: string, now: number): Claim {
  const malformed = (why: string) =>
    new S3Error('AuthorizationHeaderMalformed', `The authorization header is malformed; ${why}.`);
  if (!authorization.startsWith('AWS4-HMAC-SHA256')) {
    throw new S3Error(
      'InvalidRequest',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    );
  }
  const fields = new Map<string, string>();
  for (const part of authorization.slice('AWS4-HMAC-SHA256'.length).split(',')) {
    const equals = part.indexOf('=');
    if (equals > 0) fields.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim());
  }
  const [credential, signed, signature] = ['Credential', 'SignedHeaders', 'Signature'].map(name => fields.get(name));
  if (!credential || !signed || !signature) throw malformed('Credential, SignedHeaders and Signature are needed');
  const date = input.header('x-amz-date');
  const at = parseDate(date);
  if (date === undefined || at === undefined) {
    throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header');
  }
  if (Math.abs(at - now) > SKEW) {
    throw new S3Error(
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
      {
        RequestTime: date,
        ServerTime: new Date(now).toISOString(),
        MaxAllowedSkewMilliseconds: String(SKEW),
      },
    );
  }
  const payloadHash = input.header('x-amz-content-sha256');
  if (payloadHash === undefined) {
    throw new S3Error('MissingSecurityHeader', 'Missing required header for this request: x-amz-content-sha256');
  }
  const scope = parseCredential(credential, date);
  if (!scope) throw malformed('the Credential is not <access key>/<date of x-amz-date>/<region>/s3/aws4_request');
  return {
    ...scope,
    date,
    signedHeaders: signed.split(';'),
    signature,
    token: input.header('x-amz-security-token'),
    payloadHash,
  };
}

function fromQuery(input: VerifyInput, now: number): Claim {
  const malformed = (why: string) => new S3Error('AuthorizationQueryParametersError', why);
  const get = (name: string) => input.query.get(`X-Amz-${name}`);
  const [credential, signed, signature, date, expires] = [
    'Credential',
    'SignedHeaders',
    'Signature',
    'Date',
    'Expires',
  ].map(get);
  if (get('Algorithm') !== 'AWS4-HMAC-SHA256') throw malformed('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"');
  if (!credential || !signed || !signature || !date || !expires) {
    throw malformed(
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    );
  }
  const at = parseDate(date);
  if (at === undefined) throw malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  const seconds = /^\d{1,7}$/.test(expires) ? Number(expires) : Number.NaN;
  if (!(seconds >= 0 && seconds <= 604_800)) throw malformed('X-Amz-Expires must be a number of seconds up to a week');
  if (at > now + SKEW) throw new S3Error('AccessDenied', 'Request is not yet valid');
  if (now > at + seconds * 1000) {
    throw new S3Error('AccessDenied', 'Request has expired', {
      'X-Amz-Expires': expires,
      Expires: new Date(at + seconds * 1000).toISOString(),
      ServerTime: new Date(now).toISOString(),
    });
  }
  const scope = parseCredential(credential, date);
  if (!scope) throw malformed('Error parsing the X-Amz-Credential parameter');
  const payloadHash = get('Content-Sha256') ?? input.header('x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD';
  return { ...scope, date, signedHeaders: signed.split(';'), signature, token: get('Security-Token'), payloadHash };
}

/** Host and every x-amz-* header that came must be signed: a header added on the way makes the request fail, as at S3. */
function checkSignedHeaders(input: VerifyInput, claim: Claim): void {
  const signed = new Set(claim.signedHeaders);
  if (!signed.has('host')) throw new S3Error('AccessDenied', 'The host header must be signed');
  const missing = new Set<string>();
  for (let i = 0; i < input.headers.length; i += 2) {
    const name = input.headers[i]!.toLowerCase();
    const exempt =
      name === 'x-amz-content-sha256' && !claim.signedHeaders.includes(name) && input.query.has('X-Amz-Signature');
    if (name.startsWith('x-amz-') && !signed.has(name) && !exempt) missing.add(name);
  }
  if (missing.size > 0) {
    throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
      HeadersNotSigned: [...missing].join(', '),
    });
  }
}

function payloadRule(
  input: VerifyInput,
  chain: SignatureChain | undefined,
  hash = input.header('x-amz-content-sha256'),
): PayloadRule {
  const streaming = hash === undefined ? null : STREAMING.exec(hash);
  if (streaming) {
    return {
      kind: 'chunked',
      trailer: streaming[1] !== undefined,
      chain: hash!.startsWith('STREAMING-UNSIGNED') ? undefined : chain,
    };
  }
  if (hash === undefined || hash === 'UNSIGNED-PAYLOAD' || chain === undefined) return { kind: 'unsigned' };
  if (!/^[0-9a-f]{64}$/.test(hash)) {
    throw new S3Error(
      'InvalidArgument',
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.',
    );
  }
  return { kind: 'sha256', hex: hash };
}

/** The check of a body that came whole; `computed` is its SHA-256. */
export function checkPayload(rule: PayloadRule, computed: string | undefined): void {
  if (rule.kind !== 'sha256' || computed === undefined) return;
  if (computed !== rule.hex) {
    throw new S3Error(
      'XAmzContentSHA256Mismatch',
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
      {
        ClientComputedContentSHA256: rule.hex,
        S3ComputedContentSHA256: computed,
      },
    );
  }
}

function parseCredential(
  credential: string,
  date: string,
): { accessKeyId: string; scope: string; region: string } | undefined {
  const found = /^([^/]+)\/((\d{8})\/([^/]+)\/s3\/aws4_request)$/.exec(credential);
  if (!found || found[3] !== date.slice(0, 8)) return undefined;
  return { accessKeyId: found[1]!, scope: found[2]!, region: found[4]! };
}

/** `yyyymmddThhmmssZ` as milliseconds. */
function parseDate(date: string | undefined): number | undefined {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date ?? '');
  if (!found) return undefined;
  const [, y, mo, d, h, mi, s] = found.map(Number) as [number, number, number, number, number, number, number];
  return Date.UTC(y, mo - 1, d, h, mi, s);
}

export function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'));
}
