/**
 * Every error that Cistern makes itself, in one table: the S3-style code, the HTTP status, what happened and what to do.
 * `docs/errors.md` is generated from it. Errors that S3 makes are relayed as they are and never pass through here.
 */
export const ERRORS = {
  MissingHostHeader: {
    status: 400,
    message: 'The request has no Host header.',
    action: 'Send exactly one Host header (RFC 9112 section 3.2).',
  },
  InvalidRequest: {
    status: 400,
    message: 'The request is malformed.',
    action: 'See the detail; the request was not forwarded.',
  },
  InvalidHost: {
    status: 400,
    message: 'The Host is not a valid host name or address.',
    action: 'Send host, host:port, or a bracketed IPv6 address.',
  },
  TunnelHostMismatch: {
    status: 400,
    message: 'The Host inside the tunnel is not the host the tunnel was opened to.',
    action: 'Open a tunnel for each host.',
  },
  RequestHeaderTooLarge: {
    status: 431,
    message: 'The request headers are too large.',
    action: 'Send fewer or shorter headers (limit 64 KiB).',
  },
  ExpectationFailed: {
    status: 417,
    message: 'The Expect header asks for something unknown.',
    action: 'Only 100-continue is known (RFC 9110 section 10.1.1).',
  },
  RequestTimeout: {
    status: 408,
    message: 'The request was not sent in time.',
    action: 'Send the whole request head without long pauses.',
  },
  AccessDenied: {
    status: 403,
    message: 'Cistern does not connect to this destination.',
    action: 'Use an S3 host, or name the destination in connection_pool.upstream_overrides or endpoint_overrides.',
  },
  LoopDetected: {
    status: 508,
    message: 'The request would be forwarded to Cistern itself.',
    action: 'Check HTTP_PROXY, endpoint overrides and hosts files for a loop.',
  },
  SlowDown: {
    status: 503,
    message: 'Cistern is handling as many requests as it may.',
    action: 'Retry; or raise server.max_concurrent_requests.',
  },
  BadGateway: {
    status: 502,
    message: 'The upstream could not be reached or answered with something that is not HTTP.',
    action: 'Check the network, the endpoint and the overrides; retry.',
  },
  UpstreamCertificateInvalid: {
    status: 502,
    message: "The upstream's certificate could not be verified.",
    action:
      'Check the endpoint; for a private store add its authority to the system, or set validate_tls: false in its upstream override.',
  },
  UpstreamTimeout: {
    status: 504,
    message: 'The upstream did not answer in time.',
    action: 'Retry; or raise connection_pool.upstream_first_byte_timeout.',
  },
  NameNotResolved: {
    status: 502,
    message: 'The host name could not be resolved.',
    action: 'Check the name and the DNS servers.',
  },
  CacheUnavailable: {
    status: 503,
    message: "The cache folder can't be used as it would have to be.",
    action: 'See the detail and `cistern status`; put the volume right and try again.',
  },
  VerifyRunning: {
    status: 409,
    message: 'This proxy is verifying its cache already.',
    action: 'Let that come to its end, or stop it where it was started.',
  },
  PinTooLarge: {
    status: 409,
    message: 'This is not pinned: it would be more than the share of the cache for pins.',
    action: 'Pin less, unpin something, or raise cache.pin_percent or cache.max_cache_size.',
  },
  UnknownOrigin: {
    status: 409,
    message: 'It is not known where this bucket lives.',
    action: 'Say it by --origin: aws, or host:port as in connection_pool.upstream_overrides.',
  },
  NotPinned: {
    status: 404,
    message: 'There is no such pin.',
    action: '`cistern pin` without a target lists what is pinned.',
  },
  ClientClosedRequest: { status: 499, message: 'The client went away.', action: 'Nothing to do.' },
  ShuttingDown: {
    status: 503,
    message: 'Cistern is stopping.',
    action: 'Retry against another instance, or directly.',
  },
  InternalError: {
    status: 500,
    message: 'Cistern met an error of its own.',
    action: 'See the application log and report it.',
  },
} as const satisfies Record<string, { status: number; message: string; action: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a stable code from {@link ERRORS}; `detail` names the host, header or value concerned, never a secret. */
export class CisternError extends Error {
  override readonly name = 'CisternError';
  readonly code: ErrorCode;
  readonly detail: string | undefined;

  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown }) {
    super(detail ? `${ERRORS[code].message} ${detail}` : ERRORS[code].message, options);
    this.code = code;
    this.detail = detail;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** The S3-style XML body of an error (S3 API reference, "Error responses"). */
export function errorXml(error: CisternError, requestId: string): string {
  const { action } = ERRORS[error.code];
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${error.code}</Code><Message>${escapeXml(`${error.message} ${action}`)}</Message><RequestId>${requestId}</RequestId><HostId>cistern</HostId></Error>`;
}

function escapeXml(text: string): string {
  return text
    .replace(/[<>&"']/g, c => `&#${c.charCodeAt(0)};`)
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '?');
}
