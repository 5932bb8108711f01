import { parseHttpDate, utcTime } from './http-date.ts';
import type { HeaderFacts, SignatureFacts, TargetFacts } from './types.ts';

type SignatureHeaders = Pick<HeaderFacts, 'authorization' | 'securityToken' | 'amzDate' | 'date'>;

/** S3 refuses a header signature whose date is further away (S3 API reference, `RequestTimeTooSkewed`). */
const HEADER_SIGNATURE_LIFE = 15 * 60_000;

/** Who signed a request, which headers the signature covers and how long S3 takes it. Nothing is verified: S3 does that. */
export function readSignature(
  facts: SignatureHeaders,
  target: Pick<TargetFacts, 'presigned' | 'query'>,
): SignatureFacts {
  const { authorization } = facts;
  if (authorization !== undefined) return readAuthorization(authorization, facts);
  if (target.presigned) return readPresigned(target.query);
  return ANONYMOUS;
}

/** True when the header of that lower-case name may not be altered, added or dropped without breaking the signature. */
export function isSigned(signature: SignatureFacts, lowerName: string): boolean {
  if (signature.signedHeaders === 'all' || signature.signedHeaders.has(lowerName)) return true;
  // SigV2 covers each x-amz- header there is, without naming it.
  return signature.scheme === 'sigv2' && lowerName.startsWith('x-amz-');
}

const ANONYMOUS: SignatureFacts = {
  scheme: 'anonymous',
  presigned: false,
  accessKeyId: undefined,
  sessionToken: undefined,
  signedHeaders: new Set(),
  expiresAt: undefined,
};

/** S3 User Guide, "Signing and authenticating REST requests (signature version 2)": CanonicalizedAmzHeaders apart */
const SIGV2_HEADERS: ReadonlySet<string> = new Set(['content-md5', 'content-type', 'date']);

function readAuthorization(authorization: string, facts: SignatureHeaders): SignatureFacts {
  if (authorization.startsWith('AWS4-')) {
    const scheme = sigV4Scheme(authorization.slice(0, Math.max(0, authorization.indexOf(' '))));
    const credential = parameter(authorization, 'Credential=');
    const signedHeaders = parameter(authorization, 'SignedHeaders=');
    if (scheme !== undefined && credential !== undefined && signedHeaders !== undefined) {
      return {
        scheme,
        presigned: false,
        accessKeyId: accessKey(credential),
        sessionToken: facts.securityToken,
        signedHeaders: headerSet(signedHeaders),
        expiresAt: after(signatureTime(facts), HEADER_SIGNATURE_LIFE),
      };
    }
  }
  const colon = authorization.lastIndexOf(':');
  if (authorization.startsWith('AWS ') && colon > 4) {
    return {
      scheme: 'sigv2',
      presigned: false,
      accessKeyId: authorization.slice(4, colon),
      sessionToken: facts.securityToken,
      signedHeaders: SIGV2_HEADERS,
      expiresAt: after(signatureTime(facts), HEADER_SIGNATURE_LIFE),
    };
  }
  return {
    scheme: 'other',
    presigned: false,
    accessKeyId: authorization.split(' ', 1)[0],
    sessionToken: authorization,
    signedHeaders: 'all',
    expiresAt: undefined,
  };
}

function readPresigned(query: ReadonlyMap<string, string>): SignatureFacts {
  const algorithm = query.get('X-Amz-Algorithm');
  if (algorithm === undefined) {
    const expires = query.get('Expires') ?? '';
    return {
      scheme: 'sigv2',
      presigned: true,
      accessKeyId: query.get('AWSAccessKeyId'),
      sessionToken: query.get('x-amz-security-token'),
      signedHeaders: SIGV2_HEADERS,
      expiresAt: /^\d{1,12}$/.test(expires) ? Number(expires) * 1000 : undefined,
    };
  }
  const scheme = sigV4Scheme(algorithm);
  const signedHeaders = query.get('X-Amz-SignedHeaders');
  const life = query.get('X-Amz-Expires') ?? '';
  const start = parseIsoBasic(query.get('X-Amz-Date') ?? '');
  return {
    scheme: scheme ?? 'other',
    presigned: true,
    accessKeyId: accessKey(query.get('X-Amz-Credential') ?? ''),
    sessionToken: query.get('X-Amz-Security-Token'),
    signedHeaders: scheme === undefined || signedHeaders === undefined ? 'all' : headerSet(signedHeaders),
    expiresAt: /^\d{1,9}$/.test(life) ? after(start, Number(life) * 1000) : undefined,
  };
}

function sigV4Scheme(algorithm: string): 'sigv4' | 'sigv4a' | undefined {
  if (algorithm === 'AWS4-HMAC-SHA256') return 'sigv4';
  return algorithm === 'AWS4-ECDSA-P256-SHA256' ? 'sigv4a' : undefined;
}

/** The value of a `Name=` part of an Authorization header, up to the next comma */
function parameter(authorization: string, nameAndEquals: string): string | undefined {
  let at = authorization.indexOf(nameAndEquals);
  // The name must begin a part: `XCredential=` isn't `Credential=`.
  while (at > 0 && !isSeparator(authorization.charCodeAt(at - 1))) at = authorization.indexOf(nameAndEquals, at + 1);
  if (at < 0) return undefined;
  const from = at + nameAndEquals.length;
  const comma = authorization.indexOf(',', from);
  const value = authorization.slice(from, comma < 0 ? undefined : comma).trimEnd();
  return value === '' ? undefined : value;
}

function isSeparator(code: number): boolean {
  return code === 44 || code === 32 || code === 9;
}

/** The credential is `<access key id>/<date>/…` */
function accessKey(credential: string): string {
  const slash = credential.indexOf('/');
  return slash < 0 ? credential : credential.slice(0, slash);
}

const headerSets = new Map<string, ReadonlySet<string>>();

/** A client signs the same few sets of headers again and again. */
function headerSet(signedHeaders: string): ReadonlySet<string> {
  let set = headerSets.get(signedHeaders);
  if (set === undefined) {
    set = new Set(signedHeaders.toLowerCase().split(';'));
    if (headerSets.size >= 256) headerSets.clear();
    if (signedHeaders.length <= 1024) headerSets.set(signedHeaders, set);
  }
  return set;
}

/** `x-amz-date` goes before `Date` (S3 API reference, "Common request headers"); SigV2 writes either as an HTTP-date. */
function signatureTime(facts: SignatureHeaders): number | undefined {
  const value = facts.amzDate ?? facts.date;
  if (value !== lastDate) {
    lastTime = value === undefined ? undefined : (parseIsoBasic(value) ?? parseHttpDate(value));
    lastDate = value;
  }
  return lastTime;
}

/** Busy clients sign many requests within one second. */
let lastDate: string | undefined;
let lastTime: number | undefined;

function after(time: number | undefined, life: number): number | undefined {
  return time === undefined ? undefined : time + life;
}

/** `20130524T000000Z` */
function parseIsoBasic(value: string): number | undefined {
  if (value.length !== 16 || value.charCodeAt(8) !== 84 || value.charCodeAt(15) !== 90) return undefined;
  const date = digits(value, 0, 8);
  const time = digits(value, 9, 15);
  if (date < 0 || time < 0) return undefined;
  return utcTime(
    Math.floor(date / 10_000),
    (Math.floor(date / 100) % 100) - 1,
    date % 100,
    Math.floor(time / 10_000),
    Math.floor(time / 100) % 100,
    time % 100,
  );
}

/** -1 where there is something else among them */
function digits(text: string, from: number, to: number): number {
  let number = 0;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}
