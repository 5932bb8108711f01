export { TargetParser, type TargetParserOptions } from './address.ts';
export { classify } from './classify.ts';
export {
  type CompatibleHost,
  canonicalAuthority,
  compatibleHosts,
  compatibleStores,
  splitAuthority,
} from './compatible.ts';
export {
  endToEnd,
  headerValue,
  headerValues,
  readHeaderFacts,
  setHeader,
  withoutHeaders,
  withPresignedHeaders,
} from './headers.ts';
export { parseHttpDate } from './http-date.ts';
export { isBucketName, keyReadings, objectAddress, pathReadings, percentDecode, utf8Bytes } from './key.ts';
export { evaluatePreconditions, hasPreconditions, ifRangeHolds, namesOnly, type Validators } from './preconditions.ts';
export { parseRange, resolveRange } from './range.ts';
export { isSigned, readSignature } from './signature.ts';
export * from './types.ts';
