import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { SignatureFacts } from '../request/index.ts';

/** Who signed a request: a hash with a key of this process, so that neither key id nor token is kept (design section 2). */
export type Caller = string & { readonly __caller?: never };

const KEY = createSecretKey(randomBytes(32));

export function callerOf(signature: SignatureFacts): Caller {
  if (signature.scheme === 'anonymous') return 'anonymous';
  const { scheme, accessKeyId = '', sessionToken = '' } = signature;
  // Not by blake3-wasm, whose keyed hash never frees the 2 KB it takes, and that for each request.
  return createHmac('sha256', KEY).update(`${scheme}\0${accessKeyId}\0${sessionToken}`, 'latin1').digest('base64');
}
