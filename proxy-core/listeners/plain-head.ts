/** The head of a GET or HEAD without a body, as `node:http` would give it. */
export interface PlainHead {
  readonly method: 'GET' | 'HEAD';
  /** The request target as it came. */
  readonly url: string;
  readonly rawHeaders: string[];
  /** Where the next request begins. */
  readonly end: number;
}

/** Longer heads are left to `node:http`. */
const MAX_HEAD = 16_384;
const MAX_HEADERS = 128;

/**
 * Reads the head of a plain GET or HEAD that begins at `from`. Narrower than RFC 9112 on purpose: what is taken here means
 * the same to every parser, and whatever else there is, well-formed or not, is `other` and left to the parser of
 * `node:http`. `incomplete`: plain so far, and more has to come.
 */
export function readPlainHead(bytes: Buffer, from: number): PlainHead | 'incomplete' | 'other' {
  const limit = Math.min(bytes.length, from + MAX_HEAD);
  const cutShort = bytes.length > limit ? 'other' : 'incomplete';
  let at = from;
  const get = bytes[at] === G;
  const start = get ? GET : HEAD;
  for (const code of start) {
    if (at === limit) return cutShort;
    if (bytes[at++] !== code) return 'other';
  }

  const urlFrom = at;
  while (at < limit && (KIND[bytes[at]!]! & TARGET) !== 0) at++;
  const urlTo = at;
  for (const code of VERSION) {
    if (at === limit) return cutShort;
    if (bytes[at++] !== code) return 'other';
  }

  let count = 0;
  for (;;) {
    if (at === limit) return cutShort;
    const nameFrom = at;
    while (at < limit && (KIND[bytes[at]!]! & TOKEN) !== 0) at++;
    if (at === limit) return cutShort;
    if (at === nameFrom) break;
    if (bytes[at] !== COLON || count === MAX_HEADERS) return 'other';
    const nameTo = at++;
    while (at < limit && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
    const valueFrom = at;
    while (at < limit && (KIND[bytes[at]!]! & VALUE) !== 0) at++;
    if (at === limit) return cutShort;
    let valueTo = at;
    while (valueTo > valueFrom && (bytes[valueTo - 1] === SPACE || bytes[valueTo - 1] === TAB)) valueTo--;
    if (bytes[at++] !== CR) return 'other';
    if (at === limit) return cutShort;
    if (bytes[at++] !== LF) return 'other';
    const slot = count++ * 4;
    places[slot] = nameFrom - from;
    places[slot + 1] = nameTo - from;
    places[slot + 2] = valueFrom - from;
    places[slot + 3] = valueTo - from;
  }
  if (bytes[at++] !== CR) return 'other';
  if (at === limit) return cutShort;
  if (bytes[at++] !== LF) return 'other';

  const url = bytes.toString('latin1', urlFrom, urlTo);
  if (url.charCodeAt(0) !== SLASH && !HTTP_URL.test(url)) return 'other';
  const rawHeaders = headers(bytes, from, at, count);
  return rawHeaders ? { method: get ? 'GET' : 'HEAD', url, rawHeaders, end: at } : 'other';
}

/** Undefined where one of them decides over the body or the connection, or there isn't exactly one Host. */
function headers(bytes: Buffer, from: number, to: number, count: number): string[] | undefined {
  const text = bytes.toString('latin1', from, to);
  const raw: string[] = [];
  let hosts = 0;
  for (let i = 0; i < count * 4; i += 4) {
    const name = text.slice(places[i], places[i + 1]);
    const valueFrom = places[i + 2]!;
    const valueTo = places[i + 3]!;
    // What may be remembered is a string of its own: a slice of more than 12 characters would keep the whole head in memory.
    const value =
      valueTo - valueFrom < 13
        ? text.slice(valueFrom, valueTo)
        : bytes.toString('latin1', from + valueFrom, from + valueTo);
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') hosts++;
        break;
      case 6:
        if (name.toLowerCase() === 'expect') return undefined;
        break;
      case 7:
        if (name.toLowerCase() === 'upgrade') return undefined;
        break;
      case 10:
      case 16:
        // The parser of node:http takes Proxy-Connection for the same.
        if (isConnection(name) && value.toLowerCase() !== 'keep-alive') return undefined;
        break;
      case 14:
        if (name.toLowerCase() === 'content-length') return undefined;
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') return undefined;
        break;
      default:
    }
    raw.push(name, value);
  }
  return hosts === 1 ? raw : undefined;
}

function isConnection(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === 'connection' || lower === 'proxy-connection';
}

/** Places of names and values in the head that is being read. */
const places = new Int32Array(MAX_HEADERS * 4);

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const SLASH = 47;
const COLON = 58;
const G = 71;
const GET = [...Buffer.from('GET ')];
const HEAD = [...Buffer.from('HEAD ')];
const VERSION = [...Buffer.from(' HTTP/1.1\r\n')];

/** An authority in letters, digits and what else names and ports are made of; no user information, no brackets. */
const HTTP_URL = /^http:\/\/[A-Za-z0-9._:-]+\//;

const TOKEN = 1;
const VALUE = 2;
const TARGET = 4;

/** What each byte may be part of: a header's name (RFC 9110 section 5.6.2), its value (section 5.5), a target. */
const KIND = Uint8Array.from({ length: 256 }, (_, code) => {
  const printable = code > 32 && code < 127;
  let kind = 0;
  if (printable && !'"(),/:;<=>?@[\\]{}'.includes(String.fromCharCode(code))) kind |= TOKEN;
  if (printable || code === SPACE || code === TAB || code >= 128) kind |= VALUE;
  if (printable && code !== 35) kind |= TARGET;
  return kind;
});
