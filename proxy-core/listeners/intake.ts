import { CisternError } from '../errors.ts';
import { endToEnd, type RawHeaders } from '../request/index.ts';
import { parseAuthority, sameAuthority } from '../upstream/index.ts';

/** What a request line and its headers say, once they are known to say one thing only. */
export interface Intake {
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly target: string;
  readonly headers: RawHeaders;
  readonly framing: 'none' | 'length' | 'chunked';
}

/**
 * Reads a request head, or says what is wrong with it. Node's parser has refused what can't be parsed; here falls what
 * parses but could mean one thing to Cistern and another to S3 (RFC 9112 sections 3.2 and 11.2). Pure, and lean: it runs
 * for every request.
 */
export function intake(
  method: string,
  url: string,
  raw: RawHeaders,
  minorVersion: number,
  tunnelHost?: string,
): Intake | CisternError {
  let host: string | undefined;
  let hostAt = -1;
  let hop = false;
  let framing: Intake['framing'] = 'none';
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') {
          if (hostAt >= 0) return new CisternError('InvalidRequest', '(more than one Host header)');
          host = raw[i + 1]!;
          hostAt = i;
        }
        break;
      case 14:
        if (framing === 'none' && name.toLowerCase() === 'content-length') framing = 'length';
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') {
          // Only the last coding is the parser's to undo; one beneath it would get lost (RFC 9112 section 6.1).
          if (framing === 'chunked' || minorVersion === 0 || raw[i + 1]!.toLowerCase() !== 'chunked') {
            return new CisternError('InvalidRequest', '(Transfer-Encoding other than chunked)');
          }
          framing = 'chunked';
          hop = true;
        }
        break;
      case 2:
      case 7:
        hop = true;
        break;
      case 10: {
        // connection, keep-alive; not user-agent and x-amz-date, which most requests carry
        const first = name.charCodeAt(0) | 0x20;
        if (first === 0x63 || first === 0x6b) hop = true;
        break;
      }
      default:
    }
    if ((name.charCodeAt(0) | 0x20) === 0x70 && name.charCodeAt(5) === 0x2d) hop = true; // proxy-
  }
  if (host === undefined && minorVersion > 0) return new CisternError('MissingHostHeader');
  const headers = hop ? endToEnd(raw) : raw;

  if (url.charCodeAt(0) === 0x2f || (url === '*' && method === 'OPTIONS')) {
    if (host === undefined) return new CisternError('MissingHostHeader');
    if (!parseAuthority(host)) return new CisternError('InvalidHost', `(${host})`);
    if (tunnelHost !== undefined && !sameAuthority(host, tunnelHost, 'http')) {
      return new CisternError('TunnelHostMismatch', `(${host} in a tunnel to ${tunnelHost})`);
    }
    return { scheme: 'http', authority: host, target: url, headers, framing };
  }
  return absoluteForm(method, url, host, headers, framing, tunnelHost);
}

function absoluteForm(
  method: string,
  url: string,
  host: string | undefined,
  headers: RawHeaders,
  framing: Intake['framing'],
  tunnelHost: string | undefined,
): Intake | CisternError {
  const match = /^(https?):\/\/([^/?#]*)(.*)$/is.exec(url);
  if (!match)
    return new CisternError('InvalidRequest', '(the request target is neither a path nor an http or https URL)');
  const scheme = match[1]!.length === 5 ? 'https' : 'http';
  const named = match[2]!;
  const rest = match[3]!;
  if (!parseAuthority(named)) return new CisternError('InvalidHost', `(${named})`);
  if (tunnelHost !== undefined && (scheme !== 'http' || !sameAuthority(named, tunnelHost, 'http'))) {
    return new CisternError('TunnelHostMismatch', `(${named} in a tunnel to ${tunnelHost})`);
  }
  // RFC 9112 section 3.2.4: OPTIONS of a URL without a path is about the server.
  const target = rest.charCodeAt(0) === 0x2f ? rest : rest === '' && method === 'OPTIONS' ? '*' : `/${rest}`;
  // A Host that says the same in another spelling stays: it may be signed.
  if (host !== undefined && sameAuthority(host, named, scheme))
    return { scheme, authority: host, target, headers, framing };
  return { scheme, authority: named, target, headers: withHost(headers, named), framing };
}

/** RFC 9112 section 3.2.2: the authority of an absolute-form target replaces the Host that came. */
function withHost(headers: RawHeaders, authority: string): RawHeaders {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (name.length === 4 && name.toLowerCase() === 'host') {
      const changed = headers.slice();
      changed[i + 1] = authority;
      return changed;
    }
  }
  return ['Host', authority, ...headers];
}
