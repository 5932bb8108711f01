import { operationOf } from './access-operation.ts';
import type { Outcome } from './latency.ts';
import { redactText, redactUrl } from './redact.ts';

/** The facts of one answered request. Strings are as they came; formatting makes them safe. Fields that are unknown are undefined. */
export interface AccessEntry {
  /** When the request's head was read, ms since the epoch. */
  readonly time: number;
  readonly remoteAddress: string | undefined;
  /** S3's x-amz-request-id where S3 was asked, else Cistern's own. */
  readonly requestId: string | undefined;
  /** S3's x-amz-id-2 where S3 was asked. */
  readonly hostId: string | undefined;
  readonly method: string;
  /** Raw request target. */
  readonly target: string;
  readonly httpVersion: string;
  readonly host: string | undefined;
  /** Undefined when the host is not S3. */
  readonly origin: string | undefined;
  /** From the address, so that it is right for virtual-hosted requests, too. */
  readonly bucket: string | undefined;
  /** The percent-decoded key, one char per byte. */
  readonly key: string | undefined;
  /** The request copies an object (x-amz-copy-source). */
  readonly isCopy: boolean;
  readonly status: number;
  /** S3-style code, e.g. NoSuchKey */
  readonly errorCode: string | undefined;
  /** Body bytes sent to the client. */
  readonly bytesSent: number;
  readonly objectSize: number | undefined;
  /** From the request's head to the last byte of the answer, ms. */
  readonly totalTime: number;
  /** From the request's last byte to the first byte of the answer, ms. */
  readonly turnAroundTime: number | undefined;
  readonly referer: string | undefined;
  readonly userAgent: string | undefined;
  readonly versionId: string | undefined;
  readonly signature: { readonly scheme: string; readonly presigned: boolean };
  /** Of the client's connection to Cistern. */
  readonly tls: { readonly cipher: string; readonly protocol: string } | undefined;
  readonly outcome: Outcome | undefined;
  /** Why the cache was passed by, as in Cache-Status. */
  readonly reason: string | undefined;
}

/**
 * One line in the S3 server access log format (S3 user guide, "Amazon S3 server access log format"), fields 1 to 27 in
 * S3's order, then the cache outcome and the reason. docs/access-log.md is the description for people.
 */
export function formatLine(entry: AccessEntry): string {
  const { signature, tls } = entry;
  const operation = operationOf(entry);
  const uri = escapeQuoted(`${entry.method} ${redactUrl(entry.target)} HTTP/${entry.httpVersion}`);
  const authentication = signature.scheme === 'anonymous' ? '-' : signature.presigned ? 'QueryString' : 'AuthHeader';
  // Bucket owner, requester, access point, aclRequired and source region stay open: only S3 knows them, and the
  // credential is never written down.
  return (
    `- ${bare(entry.bucket)} ${timeField(entry.time)} ${bare(entry.remoteAddress)} - ${bare(entry.requestId)} ` +
    `${bare(operation)} ${encodeKey(entry.key)} "${uri}" ${entry.status} ${bare(entry.errorCode)} ` +
    `${entry.bytesSent || '-'} ${entry.objectSize ?? '-'} ${Math.round(entry.totalTime)} ${turnAround(entry)} ` +
    `${refererField(entry.referer)} ${userAgentField(entry.userAgent)} ${bare(entry.versionId)} ${bare(entry.hostId)} ` +
    `${SIGNATURES[signature.scheme] ?? '-'} ${bare(tls?.cipher)} ${authentication} ${bare(entry.host)} ` +
    `${bare(tls?.protocol)} - - - ${entry.outcome === undefined ? '-' : entry.outcome.toUpperCase()} ${bare(entry.reason)}\n`
  );
}

const SIGNATURES: Readonly<Record<string, string>> = { sigv2: 'SigV2', sigv4: 'SigV4', sigv4a: 'SigV4A' };
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

let shownSecond = Number.NaN;
let shownTime = '';

/** `[06/Feb/2019:00:00:38 +0000]`, rendered once a second. */
function timeField(time: number): string {
  const second = Math.floor(time / 1000);
  if (second !== shownSecond) {
    const date = new Date(second * 1000);
    const [day, year] = [String(date.getUTCDate()).padStart(2, '0'), date.getUTCFullYear()];
    shownTime = `[${day}/${MONTHS[date.getUTCMonth()]}/${year}:${date.toISOString().slice(11, 19)} +0000]`;
    shownSecond = second;
  }
  return shownTime;
}

let shownAgent: string | undefined;
let shownAgentField = '"-"';

/** Most requests in a row come from one client. */
function userAgentField(userAgent: string | undefined): string {
  if (userAgent !== shownAgent) {
    shownAgentField = quoted(userAgent && redactText(userAgent));
    shownAgent = userAgent;
  }
  return shownAgentField;
}

/*
 * Nothing a client sends can end a field or a line: control characters, quotes, backslashes and what is not ASCII are
 * percent-encoded, in fields without quotes spaces, too.
 */
const UNSAFE_QUOTED = /[\u0000-\u001f"\\\u007f-\uffff]/g;
const UNSAFE_BARE = /[\u0000-\u0020"\\\u007f-\uffff]/g;
const UNSAFE_KEY = /[^A-Za-z0-9._~/-]/g;

function bare(text: string | undefined): string {
  return text ? text.replace(UNSAFE_BARE, percent) : '-';
}

function quoted(text: string | undefined): string {
  return text ? `"${escapeQuoted(text)}"` : '"-"';
}

function escapeQuoted(text: string): string {
  return text.replace(UNSAFE_QUOTED, percent);
}

function encodeKey(key: string | undefined): string {
  return key ? key.replace(UNSAFE_KEY, percent) : '-';
}

function refererField(referer: string | undefined): string {
  return quoted(referer && redactUrl(referer));
}

function turnAround({ turnAroundTime }: AccessEntry): number | '-' {
  return turnAroundTime === undefined ? '-' : Math.round(turnAroundTime);
}

/** Header strings are one char per byte; a char that is none is shown by its UTF-8 bytes. */
function percent(char: string): string {
  const bytes = Buffer.from(char, char.charCodeAt(0) < 0x100 ? 'latin1' : 'utf8');
  return bytes.reduce((text, byte) => `${text}%${byte.toString(16).toUpperCase().padStart(2, '0')}`, '');
}
