export { AwsChunkedDecoder, decodeAwsChunked, isAwsChunked } from './aws-chunked.ts';
export type { EpochMover, RelayHooks } from './types.ts';
export { WriteWatch } from './write-watch.ts';
