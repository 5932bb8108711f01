export { AwsChunkedDecoder, decodeAwsChunked, isAwsChunked } from './aws-chunked.ts';
export type { ChangedObjects, Keeping, RelayHooks } from './types.ts';
export { type UploadKeepingOptions, uploadKeeping } from './upload-keeping.ts';
export { WriteWatch, type WriteWatchOptions } from './write-watch.ts';
