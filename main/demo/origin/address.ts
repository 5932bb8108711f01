import { S3Error } from './errors.ts';
import { percentDecode } from './sigv4.ts';

export interface Address {
  readonly bucket: string;
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
}

/** `[bucket.]s3[-region | .region | .dualstack.region].amazonaws.com[.cn]` */
const AWS = /^(?:(.+?)\.)?(?:s3|s3-[a-z0-9-]+)(?:\.dualstack)?(?:\.[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?$/;

/**
 * Bucket, key and query of a request. Virtual-hosted where the host is a bucket under AWS's names or under one of `bases`
 * (`s3.cistern.test`); any other host is path style. A raw `+` in a path is a space, as S3 reads it.
 */
export function parseAddress(host: string, target: string, bases: readonly string[]): Address {
  if (!target.startsWith('/')) throw new S3Error('InvalidURI', "Couldn't parse the specified URI.", { URI: target });
  const question = target.indexOf('?');
  const path = question < 0 ? target : target.slice(0, question);
  const query = parseQuery(question < 0 ? '' : target.slice(question + 1));
  const virtual = bucketOfHost(host.replace(/:\d+$/, '').toLowerCase(), bases);
  const rest = path.slice(1);
  if (virtual !== undefined) return { bucket: virtual, key: decodeKey(rest), query };
  const slash = rest.indexOf('/');
  if (slash < 0) return { bucket: decodeKey(rest), key: '', query };
  return { bucket: decodeKey(rest.slice(0, slash)), key: decodeKey(rest.slice(slash + 1)), query };
}

function bucketOfHost(name: string, bases: readonly string[]): string | undefined {
  const aws = AWS.exec(name);
  if (aws) return aws[1];
  const base = bases.find(candidate => name.endsWith(`.${candidate}`));
  return base === undefined ? undefined : name.slice(0, -base.length - 1);
}

function parseQuery(query: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const pair of query === '' ? [] : query.split('&')) {
    const equals = pair.indexOf('=');
    const name = decodeText(equals < 0 ? pair : pair.slice(0, equals));
    if (!found.has(name)) found.set(name, equals < 0 ? '' : decodeText(pair.slice(equals + 1)));
  }
  return found;
}

function decodeKey(path: string): string {
  const bytes = Buffer.from(percentDecode(path.replaceAll('+', ' ')), 'latin1');
  const key = bytes.toString('utf8');
  if (Buffer.compare(Buffer.from(key, 'utf8'), bytes) !== 0 || /%(?![0-9a-fA-F]{2})/.test(path)) {
    throw new S3Error('InvalidURI', "Couldn't parse the specified URI.", { URI: path });
  }
  return key;
}

function decodeText(text: string): string {
  return Buffer.from(percentDecode(text.replaceAll('+', ' ')), 'latin1').toString('utf8');
}
