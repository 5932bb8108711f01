import type { RawHeaders } from '../request/index.ts';

/**
 * The header lines that are for the far end: without those for this connection (RFC 9110 section 7.6.1), those named by
 * `Connection`, and `Proxy-*`. The same array where there is nothing to leave out.
 */
export function endToEnd(headers: RawHeaders): RawHeaders {
  const named: string[] = [];
  let hop = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (!mayBeHop(name)) continue;
    const lower = name.toLowerCase();
    if (!HOP_BY_HOP.has(lower) && !lower.startsWith('proxy-')) continue;
    hop = true;
    if (lower === 'connection') named.push(...tokens(headers[i + 1]!));
  }
  if (!hop) return headers;
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const lower = headers[i]!.toLowerCase();
    // Some things can't be taken away by naming them in Connection: without them the message would be another one.
    if (HOP_BY_HOP.has(lower) || lower.startsWith('proxy-') || (named.includes(lower) && !ESSENTIAL.has(lower)))
      continue;
    kept.push(headers[i]!, headers[i + 1]!);
  }
  return kept;
}

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'te', 'upgrade']);
const ESSENTIAL = new Set(['host', 'content-length', 'authorization', 'content-encoding', 'range', 'content-range']);

function tokens(value: string): string[] {
  return value.split(',').map(token => token.trim().toLowerCase());
}

/** First letters of the names above, so that most lines cost one look. */
function mayBeHop(name: string): boolean {
  switch (name.charCodeAt(0) | 0x20) {
    case 0x63: // c
      return name.length === 10;
    case 0x6b: // k
      return name.length === 10;
    case 0x74: // t
      return name.length === 2 || name.length === 17;
    case 0x75: // u
      return name.length === 7;
    case 0x70: // p
      return name.charCodeAt(5) === 0x2d;
    default:
      return false;
  }
}
