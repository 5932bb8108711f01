import { CisternError, type ErrorCode } from '../errors.ts';

/** A connection could not be made: nothing was sent, so any request may be tried on another address. */
export class DialError extends Error {
  override readonly name = 'DialError';
  /** Code of what went wrong. Not `code`: undici takes ERR_TLS_CERT_ALTNAME_INVALID there for a reason to try for ever. */
  readonly reason: string;

  constructor(to: string, cause: unknown) {
    super(`connecting to ${to}: ${messageOf(cause)}`, { cause });
    this.reason = codeOf(cause);
  }
}

/** Any error met on the way to S3 as one of the table. `what` names the destination. */
export function toCisternError(error: unknown, what: string): CisternError {
  if (error instanceof CisternError) return error;
  const code = codeOf(error);
  return new CisternError(classify(code), `(${what}: ${messageOf(error)})`, { cause: error });
}

/** This process, or the machine, may open no more files: that says nothing of the other side, and passes. */
export function isOutOfDescriptors(error: unknown): boolean {
  return OUT_OF_DESCRIPTORS.has(codeOf(error));
}

export function isCertificateError(error: unknown): boolean {
  return CERTIFICATE.test(codeOf(error));
}

/** The connection went before an answer began, in a way that says nothing about the request. */
export function isConnectionLost(error: unknown): boolean {
  return CONNECTION.has(codeOf(error));
}

const CONNECTION = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'UND_ERR_SOCKET',
  'UND_ERR_INFO',
  'UND_ERR_DESTROYED',
]);

// The names OpenSSL's verification errors have in Node (tls documentation, "X509 certificate error codes"), and Node's own.
const CERTIFICATE =
  /^(CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|ERROR_IN_|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED|ERR_TLS_CERT_ALTNAME)/;

const RESOLUTION = new Set(
  'ENOTFOUND EAI_AGAIN EAI_FAIL EAI_NODATA EAI_NONAME ENODATA ESERVFAIL EREFUSED ENONAME EBADNAME EBADRESP EFORMERR ETIMEOUT'.split(
    ' ',
  ),
);

/** Node's and undici's refusals to write a request: what Node's lenient reading of targets let in. */
const UNSENDABLE = new Set([
  'UND_ERR_INVALID_ARG',
  'ERR_UNESCAPED_CHARACTERS',
  'ERR_INVALID_CHAR',
  'ERR_INVALID_HTTP_TOKEN',
]);

const OUT_OF_DESCRIPTORS = new Set(['EMFILE', 'ENFILE']);

function classify(code: string): ErrorCode {
  if (OUT_OF_DESCRIPTORS.has(code)) return 'SlowDown';
  if (UNSENDABLE.has(code)) return 'InvalidRequest';
  if (RESOLUTION.has(code)) return 'NameNotResolved';
  if (CERTIFICATE.test(code)) return 'UpstreamCertificateInvalid';
  return code === 'ETIMEDOUT' ? 'UpstreamTimeout' : 'BadGateway';
}

function codeOf(error: unknown): string {
  if (error instanceof DialError) return error.reason;
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || codeOf(error) || error.name : String(error);
}
