import { createHash } from 'node:crypto';
import {
  ALICE,
  amzDate,
  type ChecksumAlgorithm,
  chunkedUpload,
  digest,
  presign,
  sign,
  signHeaders,
  signingKey,
} from '../origin/index.ts';
import type { Form } from './write-steps.ts';
import type { Sent } from './writer.ts';

/** Where a request goes and when it is signed. */
export interface Where {
  readonly method: string;
  readonly host: string;
  /** Path and query, encoded. */
  readonly target: string;
  readonly at: number;
}

/** An upload of content in one of the forms of AWS's clients. */
export function uploadRequest(
  where: Where,
  content: Buffer,
  { form, checksum, headers }: { form: Form; checksum: ChecksumAlgorithm | 'none'; headers: readonly string[] },
): Sent {
  const { method, host } = where;
  const length = ['Content-Length', String(content.length)];
  const sum = checksum === 'none' ? [] : [`x-amz-checksum-${checksum}`, base64(checksum, content)];
  const sent = { method, target: where.target, body: content };
  switch (form) {
    case 'plain':
    case 'expect': {
      const own = [...headers, ...sum, ...length, ...(form === 'expect' ? ['Expect', '100-continue'] : [])];
      return { ...sent, headers: signHeaders(ALICE, { ...where, headers: own, body: content }) };
    }
    case 'unsigned':
    case 'transfer': {
      const own = [...headers, ...sum, ...(form === 'unsigned' ? length : [])];
      const all = signHeaders(ALICE, { ...where, headers: own, payloadHash: 'UNSIGNED-PAYLOAD' });
      return { ...sent, headers: form === 'unsigned' ? all : [...all, 'Transfer-Encoding', 'chunked'] };
    }
    case 'presigned': {
      const target = presign(ALICE, { ...where, expires: 86_400 });
      return { ...sent, target, headers: ['Host', host, ...length, ...headers, ...sum] };
    }
    case 'signed': {
      const { headers: own, ...encoding } = described([...headers, ...sum]);
      return { ...sent, ...chunkedUpload(ALICE, { ...where, headers: own }, { content, form, ...encoding }) };
    }
    default: {
      const algorithm = checksum === 'none' ? 'crc32' : checksum;
      const { headers: own, ...encoding } = described(headers);
      const upload = chunkedUpload(
        ALICE,
        { ...where, headers: own },
        {
          content,
          form: form === 'trailer in transfer' ? 'unsigned-trailer' : form,
          trailer: [`x-amz-checksum-${algorithm}`, base64(algorithm, content)],
          transferChunked: form === 'trailer in transfer',
          ...encoding,
        },
      );
      return { ...sent, ...upload };
    }
  }
}

/** A request with a body of its own, or none. */
export function request(where: Where, headers: readonly string[] = [], body?: Buffer): Sent {
  const length = body || where.method !== 'DELETE' ? ['Content-Length', String(body?.length ?? 0)] : [];
  const all = signHeaders(ALICE, { ...where, headers: [...headers, ...length], ...(body ? { body } : {}) });
  return { method: where.method, target: where.target, headers: all, body };
}

/** A browser's upload: the signature is over a policy, in the form itself ("Browser-Based Uploads Using POST"). */
export function formRequest(
  { method, host, target, at }: Where,
  content: Buffer,
  { key, fileName, fields }: { key: string; fileName: string; fields: Readonly<Record<string, string>> },
): Sent {
  const scope = `${amzDate(at).slice(0, 8)}/us-east-1/s3/aws4_request`;
  const own: Record<string, string> = {
    key,
    ...fields,
    'x-amz-credential': `${ALICE.accessKeyId}/${scope}`,
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
  };
  const conditions = [{ bucket: target.slice(1) }, ...Object.keys(own).map(name => ['starts-with', `$${name}`, ''])];
  const expiration = new Date(at + 60_000).toISOString();
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64');
  const signature = sign(signingKey(ALICE.secretAccessKey, scope), policy);
  const boundary = 'of-the-model';
  const parts = Object.entries({ ...own, policy, 'x-amz-signature': signature }).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const file = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${fileName}"\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(parts.join('') + file), content, Buffer.from(`\r\n--${boundary}--\r\n`)]);
  const headers = ['Host', host, 'Content-Type', `multipart/form-data; boundary=${boundary}`];
  return { method, target, headers: [...headers, 'Content-Length', String(body.length)], body };
}

export function base64(algorithm: ChecksumAlgorithm, content: Buffer): string {
  return digest(algorithm, [content]).toString('base64');
}

/** Content-MD5, or that of other bytes. */
export function md5Header(content: Buffer, right: boolean): string[] {
  const hash = createHash('md5').update(content);
  return ['Content-MD5', (right ? hash : hash.update('other')).digest('base64')];
}

/** Without Content-Encoding, in which aws-chunked has to be. */
function described(headers: readonly string[]): { headers: string[]; encoding?: string } {
  const at = headers.indexOf('Content-Encoding');
  if (at < 0) return { headers: [...headers] };
  return { headers: headers.toSpliced(at, 2), encoding: headers[at + 1]! };
}
