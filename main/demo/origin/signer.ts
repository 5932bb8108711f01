import type { Principal } from './principals.ts';
import { canonicalRequest, sha256Hex, sign, signingKey, stringToSign, uriEncode } from './sigv4.ts';

export interface SignInput {
  readonly method: string;
  /** Authority as it goes into Host */
  readonly host: string;
  /** Raw path and query, already encoded */
  readonly target: string;
  /** Flat raw headers to send; all of them are signed but those named in `unsigned` */
  readonly headers?: readonly string[];
  readonly unsigned?: readonly string[];
  readonly body?: Buffer;
  /** In place of the body's hash, e.g. UNSIGNED-PAYLOAD or a STREAMING-… word */
  readonly payloadHash?: string;
  readonly region?: string;
  /** Milliseconds; now by default */
  readonly at?: number;
}

/** Flat raw headers of a signed request, Host included: what the demo and the tests send. */
export function signHeaders(principal: Principal, input: SignInput): string[] {
  const date = amzDate(input.at ?? Date.now());
  const scope = `${date.slice(0, 8)}/${input.region ?? 'us-east-1'}/s3/aws4_request`;
  const payloadHash = input.payloadHash ?? sha256Hex(input.body ?? Buffer.alloc(0));
  const headers = [
    'Host',
    input.host,
    'x-amz-date',
    date,
    'x-amz-content-sha256',
    payloadHash,
    ...(input.headers ?? []),
  ];
  if (principal.sessionToken !== undefined) headers.push('x-amz-security-token', principal.sessionToken);
  const signedHeaders = namesOf(headers).filter(name => !input.unsigned?.includes(name));
  const canonical = canonicalRequest({
    method: input.method,
    target: input.target,
    headers,
    signedHeaders,
    payloadHash,
  });
  const signature = sign(signingKey(principal.secretAccessKey, scope), stringToSign(canonical, date, scope));
  const credential = `Credential=${principal.accessKeyId}/${scope}`;
  headers.push(
    'Authorization',
    `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`,
  );
  return headers;
}

/** The target of a presigned URL: path, query, X-Amz-… parameters and signature. Only Host is signed. */
export function presign(principal: Principal, input: SignInput & { readonly expires: number }): string {
  const date = amzDate(input.at ?? Date.now());
  const scope = `${date.slice(0, 8)}/${input.region ?? 'us-east-1'}/s3/aws4_request`;
  const parameters: [string, string][] = [
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${principal.accessKeyId}/${scope}`],
    ['X-Amz-Date', date],
    ['X-Amz-Expires', String(input.expires)],
    ['X-Amz-SignedHeaders', 'host'],
  ];
  if (principal.sessionToken !== undefined) parameters.push(['X-Amz-Security-Token', principal.sessionToken]);
  const query = parameters.map(([name, value]) => `${name}=${uriEncode(value, false)}`).join('&');
  const target = `${input.target}${input.target.includes('?') ? '&' : '?'}${query}`;
  const headers = ['Host', input.host];
  const canonical = canonicalRequest({
    method: input.method,
    target,
    headers,
    signedHeaders: ['host'],
    payloadHash: 'UNSIGNED-PAYLOAD',
  });
  const signature = sign(signingKey(principal.secretAccessKey, scope), stringToSign(canonical, date, scope));
  return `${target}&X-Amz-Signature=${signature}`;
}

export function amzDate(at: number): string {
  return new Date(at).toISOString().replace(/[-:]|\.\d+/g, '');
}

function namesOf(headers: readonly string[]): string[] {
  const names = new Set<string>();
  for (let i = 0; i < headers.length; i += 2) names.add(headers[i]!.toLowerCase());
  return [...names].sort();
}
