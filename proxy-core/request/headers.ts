import type { HeaderFacts, RawHeaders, TargetFacts } from './types.ts';

/**
 * Reads the headers that decide how a request is treated, in one pass and without allocating for the others: it runs for
 * every request. A header that came twice is joined with `, ` (RFC 9110 section 5.3), so that no duplicate is overlooked.
 */
export function readHeaderFacts(raw: RawHeaders): HeaderFacts {
  let host: string | undefined;
  let range: string | undefined;
  let ifMatch: string | undefined;
  let ifNoneMatch: string | undefined;
  let ifModifiedSince: string | undefined;
  let ifUnmodifiedSince: string | undefined;
  let ifRange: string | undefined;
  let cacheControl: string | undefined;
  let pragma: string | undefined;
  let originHeader: string | undefined;
  let customerKey = false;
  let expectedBucketOwner = false;
  let requestPayer = false;
  let checksumMode = false;
  let authorization: string | undefined;
  let securityToken: string | undefined;
  let amzDate: string | undefined;
  let date: string | undefined;
  let copySource: string | undefined;
  let renameSource: string | undefined;
  let contentType: string | undefined;
  let contentLength: string | undefined;
  let contentSha256: string | undefined;
  let userAgent: string | undefined;
  let referer: string | undefined;

  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    // The length says which names are possible; only then is lower-casing worth its price.
    switch (name.length) {
      case 4: {
        const lower = name.toLowerCase();
        if (lower === 'host') host = join(host, value);
        else if (lower === 'date') date = join(date, value);
        break;
      }
      case 5:
        if (name.toLowerCase() === 'range') range = join(range, value);
        break;
      case 6: {
        const lower = name.toLowerCase();
        if (lower === 'origin') originHeader = join(originHeader, value);
        else if (lower === 'pragma') pragma = join(pragma, value);
        break;
      }
      case 7:
        if (name.toLowerCase() === 'referer') referer = join(referer, value);
        break;
      case 8: {
        const lower = name.toLowerCase();
        if (lower === 'if-match') ifMatch = join(ifMatch, value);
        else if (lower === 'if-range') ifRange = join(ifRange, value);
        break;
      }
      case 10: {
        const lower = name.toLowerCase();
        if (lower === 'user-agent') userAgent = join(userAgent, value);
        else if (lower === 'x-amz-date') amzDate = join(amzDate, value);
        break;
      }
      case 12:
        if (name.toLowerCase() === 'content-type') contentType = join(contentType, value);
        break;
      case 13: {
        const lower = name.toLowerCase();
        if (lower === 'authorization') authorization = join(authorization, value);
        else if (lower === 'if-none-match') ifNoneMatch = join(ifNoneMatch, value);
        else if (lower === 'cache-control') cacheControl = join(cacheControl, value);
        break;
      }
      case 14:
        if (name.toLowerCase() === 'content-length') contentLength = join(contentLength, value);
        break;
      case 17: {
        const lower = name.toLowerCase();
        if (lower === 'if-modified-since') ifModifiedSince = join(ifModifiedSince, value);
        else if (lower === 'x-amz-copy-source') copySource = join(copySource, value);
        break;
      }
      case 19: {
        const lower = name.toLowerCase();
        if (lower === 'x-amz-checksum-mode') checksumMode ||= value.trim().toLowerCase() === 'enabled';
        else if (lower === 'x-amz-request-payer') requestPayer = true;
        else if (lower === 'x-amz-rename-source') renameSource = join(renameSource, value);
        else if (lower === 'if-unmodified-since') ifUnmodifiedSince = join(ifUnmodifiedSince, value);
        break;
      }
      case 20: {
        const lower = name.toLowerCase();
        if (lower === 'x-amz-content-sha256') contentSha256 = join(contentSha256, value);
        else if (lower === 'x-amz-security-token') securityToken = join(securityToken, value);
        break;
      }
      case 27:
        if (name.toLowerCase() === 'x-amz-expected-bucket-owner') expectedBucketOwner = true;
        break;
      default:
        if (name.length > CUSTOMER_KEY.length && name.toLowerCase().startsWith(CUSTOMER_KEY)) customerKey = true;
    }
  }

  let noStore = false;
  let noCache = false;
  if (cacheControl !== undefined) {
    const directives = cacheControl.toLowerCase();
    noStore = hasDirective(directives, 'no-store');
    noCache = hasDirective(directives, 'no-cache');
  } else if (pragma !== undefined) {
    noCache = hasDirective(pragma.toLowerCase(), 'no-cache');
  }

  return {
    host,
    range,
    ifMatch,
    ifNoneMatch,
    ifModifiedSince,
    ifUnmodifiedSince,
    ifRange,
    noStore,
    noCache,
    originHeader,
    customerKey,
    expectedBucketOwner,
    requestPayer,
    checksumMode,
    authorization,
    securityToken,
    amzDate,
    date,
    copySource,
    renameSource,
    contentType,
    contentLength,
    contentSha256,
    userAgent,
    referer,
  };
}

/** The same facts with those that a presigned URL carries as query parameters instead of headers. */
export function withPresignedHeaders(
  facts: HeaderFacts,
  { presigned, query }: Pick<TargetFacts, 'presigned' | 'query'>,
): HeaderFacts {
  if (!presigned || facts.checksumMode || query.get('x-amz-checksum-mode')?.toLowerCase() !== 'enabled') return facts;
  return { ...facts, checksumMode: true };
}

/** `-algorithm`, `-key` and `-key-md5` of SSE-C follow. */
const CUSTOMER_KEY = 'x-amz-server-side-encryption-customer-';

function join(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

function hasDirective(lowerList: string, directive: string): boolean {
  if (!lowerList.includes(directive)) return false;
  return lowerList.split(',').some(item => item.split('=', 1)[0]!.trim() === directive);
}

/** The first value of a header, or undefined. */
export function headerValue(raw: RawHeaders, lowerName: string): string | undefined {
  for (let i = 0; i + 1 < raw.length; i += 2) if (isNamed(raw[i]!, lowerName)) return raw[i + 1];
  return undefined;
}

/** Every value of a header, in order. */
export function headerValues(raw: RawHeaders, lowerName: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) if (isNamed(raw[i]!, lowerName)) values.push(raw[i + 1]!);
  return values;
}

/** All headers but those in the set of lower-case names; the same array when there is nothing to drop. */
export function withoutHeaders(raw: RawHeaders, lowerNames: ReadonlySet<string>): RawHeaders {
  return keepHeaders(raw, lower => !lowerNames.has(lower));
}

/** Puts the value in the place of the first header of that name (further ones go, its spelling stays), or appends it. */
export function setHeader(raw: RawHeaders, name: string, value: string): RawHeaders {
  const lowerName = name.toLowerCase();
  const result: string[] = [];
  let placed = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!isNamed(raw[i]!, lowerName)) result.push(raw[i]!, raw[i + 1]!);
    else if (!placed) {
      placed = true;
      result.push(raw[i]!, value);
    }
  }
  if (!placed) result.push(name, value);
  return result;
}

/**
 * Drops what concerns one connection only (RFC 9110 section 7.6.1): Connection and what it names, Keep-Alive, Proxy-*,
 * TE, Transfer-Encoding and Upgrade. `Trailer` announces end-to-end fields (section 6.6.2) and stays.
 *
 * Connection can't name away a field "intended for all recipients of the content", which the RFC forbids a sender to do:
 * such a request would reach S3 as another one than was signed and than the cache was asked for.
 */
export function endToEnd(raw: RawHeaders): RawHeaders {
  if (!mayHaveHops(raw)) return raw;
  const named = new Set<string>();
  for (const value of headerValues(raw, 'connection')) {
    for (const option of value.split(',')) {
      const lower = option.trim().toLowerCase();
      if (lower !== '' && !isForAllRecipients(lower)) named.add(lower);
    }
  }
  return keepHeaders(raw, lower => !HOP_BY_HOP.has(lower) && !lower.startsWith('proxy-') && !named.has(lower));
}

/** One look at the length of each name, as most messages have nothing to drop. */
function mayHaveHops(raw: RawHeaders): boolean {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    switch (name.length) {
      case 2: // te
      case 7: // upgrade
      case 10: // connection, keep-alive
      case 17: // transfer-encoding
        return true;
      default:
        if ((name.charCodeAt(0) | 0x20) === 0x70 && name.charCodeAt(5) === 0x2d) return true; // proxy-
    }
  }
  return false;
}

const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'te', 'transfer-encoding', 'upgrade']);

const FOR_ALL_RECIPIENTS: ReadonlySet<string> = new Set([
  'accept-ranges',
  'age',
  'authorization',
  'cache-control',
  'date',
  'etag',
  'expect',
  'expires',
  'host',
  'last-modified',
  'location',
  'origin',
  'pragma',
  'range',
  'trailer',
  'vary',
]);

function isForAllRecipients(lower: string): boolean {
  return (
    FOR_ALL_RECIPIENTS.has(lower) ||
    lower.startsWith('x-amz-') ||
    lower.startsWith('content-') ||
    lower.startsWith('if-') ||
    lower.startsWith('access-control-')
  );
}

function keepHeaders(raw: RawHeaders, keep: (lowerName: string) => boolean): RawHeaders {
  let result: string[] | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (keep(raw[i]!.toLowerCase())) result?.push(raw[i]!, raw[i + 1]!);
    else result ??= raw.slice(0, i);
  }
  return result ?? raw;
}

function isNamed(name: string, lowerName: string): boolean {
  return name.length === lowerName.length && name.toLowerCase() === lowerName;
}
