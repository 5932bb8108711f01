export { mayCompress } from './compressible.ts';
export { Reader, type ReaderOptions } from './reader.ts';
export type { Note, Outcome, ReadKind, ReadQuestion, ReadRequest, ReadSettings, Wire } from './types.ts';
