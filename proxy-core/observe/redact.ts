/**
 * What proves who a caller is never reaches a log: signatures, credentials, session tokens, Authorization. A presigned
 * URL is a key to the object for as long as it lives, and an access log is read by more people than the object is.
 */
const MASK = 'REDACTED';

/** Names of headers and query parameters (SigV4, SigV4A, SigV2, presigned) whose value is masked; compared in lower case. */
const SECRET_NAMES = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'credential',
  'signature',
  'security-token',
  'awsaccesskeyid',
  'secretaccesskey',
  'sessiontoken',
  'x-amz-signature',
  'x-amz-credential',
  'x-amz-security-token',
  'x-amz-s3session-token',
  'x-amz-server-side-encryption-customer-key',
  'x-amz-copy-source-server-side-encryption-customer-key',
]);

/** A URL or request target with the values of secret query parameters masked; all else stays byte for byte. */
export function redactUrl(url: string): string {
  const start = url.indexOf('?');
  if (start < 0) return url;
  const parameters = url.slice(start + 1).split('&');
  for (const [i, parameter] of parameters.entries()) {
    const equals = parameter.indexOf('=');
    if (equals < 0) continue;
    const secret = isSecretName(decodeName(parameter.slice(0, equals)));
    parameters[i] = secret ? `${parameter.slice(0, equals + 1)}${MASK}` : redactNested(parameter);
  }
  return `${url.slice(0, start + 1)}${parameters.join('&')}`;
}

/** Free text with everything masked that looks like a secret: `Signature=…`, `x-amz-security-token: …`, `Authorization: …`. */
export function redactText(text: string): string {
  const masked = redactNested(text.replace(AUTHORIZATION, `$1${MASK}`));
  let result = '';
  let done = 0;
  for (const match of masked.matchAll(NAME)) {
    const value = match.index + match[0].length;
    const name = decodeName(match[1]!);
    if (value < done || !isSecretName(name) || /authorization$/i.test(name)) continue;
    END_OF_VALUE.lastIndex = value;
    result += `${masked.slice(done, value)}${MASK}`;
    done = END_OF_VALUE.exec(masked)?.index ?? masked.length;
  }
  return result + masked.slice(done);
}

/** A value for the log with its secrets masked, whatever its shape; nesting beyond four levels is cut. */
export function redactValue(value: unknown, depth = 4): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : value;
  if (value instanceof Error) return redactError(value, depth);
  if (depth === 0) return '…';
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`;
  if ('toJSON' in value && typeof value.toJSON === 'function') return redactValue(value.toJSON(), depth - 1);
  if (value instanceof Set) return redactValue([...value], depth);
  if (Array.isArray(value)) {
    // Raw headers are [name, value, name, value, …].
    return value.map((item, i) => (isSecretName(value[i - 1]) ? MASK : redactValue(item, depth - 1)));
  }
  const pairs = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(
    pairs.map(([name, inner]) => [String(name), isSecretName(name) ? MASK : redactValue(inner, depth - 1)]),
  );
}

function redactError(error: Error & { code?: unknown }, depth: number): unknown {
  return {
    name: error.name,
    message: redactText(error.message),
    ...(error.code === undefined ? {} : { code: error.code }),
    ...(error.cause === undefined || depth === 0 ? {} : { cause: redactValue(error.cause, depth - 1) }),
    stack: redactText(error.stack ?? ''),
  };
}

/** The scheme and all its parts, up to the end of the line or of the quoted string; not a setting such as cache.authorization. */
const AUTHORIZATION = /((?<![\w.])(?:proxy-)?authorization["']?\s{0,3}[:=]\s{0,3}["']?)(?!\s)[^"'\r\n]+/gi;
/** A name and an equals sign or colon, either perhaps quoted. */
const NAME = /([\w%+-]{6,60})["']?\s{0,3}[=:]\s{0,3}["']?/g;
const END_OF_VALUE = /[\s,;&"'<>]/g;
/** A presigned URL inside a parameter of another, encoded once or more: `url=https%3A%2F%2F…%26X-Amz-Signature%3D…`. */
const NESTED =
  /((?:x-amz-(?:signature|credential|security-token)|signature|awsaccesskeyid)%(?:25)*3d)(?:(?!%(?:25)*26)[^&\s"'<>])+/gi;

function redactNested(text: string): string {
  return text.includes('%') ? text.replace(NESTED, `$1${MASK}`) : text;
}

function isSecretName(name: unknown): boolean {
  return typeof name === 'string' && SECRET_NAMES.has(name.trim().toLowerCase());
}

function decodeName(name: string): string {
  return name
    .replaceAll('+', ' ')
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
