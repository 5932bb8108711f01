import { percentDecode } from './key.ts';

export interface QueryFacts {
  readonly partNumber: number | undefined;
  readonly otherParameters: readonly string[];
  readonly presigned: boolean;
  readonly query: ReadonlyMap<string, string>;
}

export const NO_QUERY: QueryFacts = {
  partNumber: undefined,
  otherParameters: [],
  presigned: false,
  query: new Map(),
};

/**
 * Sorts the parameters of a raw query (without `?`) into those an object read may carry and the others, by an allow list:
 * what isn't known changes the meaning. A parameter that came twice is among the others, since servers differ in which
 * one counts; and so is a presigning parameter where the query is not presigned.
 */
export function readQuery(raw: string): QueryFacts {
  if (raw === '') return NO_QUERY;
  const query = new Map<string, string>();
  const others = new Set<string>();
  for (const pair of raw.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    if (query.has(name)) others.add(name.toLowerCase());
    else query.set(name, equals < 0 ? '' : decode(pair.slice(equals + 1)));
  }
  const sigV4 = query.has('X-Amz-Algorithm');
  const sigV2 = query.has('AWSAccessKeyId') && query.has('Signature');
  let partNumber: number | undefined;
  for (const [name, value] of query) {
    if (name === 'partNumber') {
      partNumber = readPartNumber(value);
      if (partNumber === undefined) others.add('partnumber');
    } else if (name !== 'x-id' && !(sigV4 && SIGV4.has(name)) && !(sigV2 && SIGV2.has(name))) {
      others.add(name.toLowerCase());
    }
  }
  if (others.has('partnumber')) partNumber = undefined;
  return { partNumber, otherParameters: [...others], presigned: sigV4 || sigV2, query };
}

/** S3 API reference, "Authenticating requests: using query parameters"; the region set is SigV4A's. */
const SIGV4: ReadonlySet<string> = new Set([
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-SignedHeaders',
  'X-Amz-Signature',
  'X-Amz-Security-Token',
  'X-Amz-Content-Sha256',
  'X-Amz-Region-Set',
  // Headers that the JavaScript SDK's presigner moves into the query; read from there by {@link withPresignedHeaders}.
  'x-amz-checksum-mode',
]);

/** S3 User Guide, "Signing and authenticating REST requests (signature version 2)" */
const SIGV2: ReadonlySet<string> = new Set(['AWSAccessKeyId', 'Signature', 'Expires', 'x-amz-security-token']);

function decode(text: string): string {
  return percentDecode(text.includes('+') ? text.replaceAll('+', ' ') : text).bytes;
}

function readPartNumber(value: string): number | undefined {
  if (!/^[1-9]\d{0,4}$/.test(value)) return undefined;
  const number = Number(value);
  return number <= 10_000 ? number : undefined;
}
