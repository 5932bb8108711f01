import { randomBytes } from 'node:crypto';
import blake3 from 'blake3-wasm';
import type { SignatureFacts } from '../request/index.ts';

/** Who signed a request: a hash with a key of this process, so that neither key id nor token is kept (design section 2). */
export type Caller = string & { readonly __caller?: never };

const KEY = randomBytes(32);

export function callerOf(signature: SignatureFacts): Caller {
  if (signature.scheme === 'anonymous') return 'anonymous';
  const { scheme, accessKeyId = '', sessionToken = '' } = signature;
  return blake3.keyedHash(KEY, Buffer.from(`${scheme}\0${accessKeyId}\0${sessionToken}`, 'latin1')).toString('base64');
}
