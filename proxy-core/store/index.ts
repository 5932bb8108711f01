export { type BufferPool, PIECE, type Piece } from './buffer-pool.ts';
export type { Care } from './care/care.ts';
export type {
  CachedBucket,
  CachedObject,
  Fault,
  ListEnd,
  ListEvent,
  PinEnd,
  PinEvent,
  PinList,
  PurgeEnd,
  PurgeEvent,
  Target,
  VerifyEnd,
  VerifyEvent,
  VerifyProgress,
} from './care/types.ts';
export type { Content } from './disk/extent-file.ts';
export { EXTENT, SMALL, UNIT } from './disk/extent-format.ts';
export { bucketFolder, versionId } from './disk/paths.ts';
export type { VolumeReport } from './disk/probe.ts';
export type { ObjectEntry } from './entry.ts';
export type { Fill } from './fill.ts';
export {
  type Head,
  isOfWrite,
  isOtherVersion,
  isSameHead,
  isSameWriting,
  type Part,
  type Stamp,
  s3VersionOf,
  writingOf,
} from './head.ts';
export type { Cell } from './memory/cells.ts';
export type { StoreCounters, StoreLimits, StoreOptions } from './options.ts';
export { Store } from './store.ts';
export type { NamedPart } from './uploads/multipart-assembly.ts';
export type { MultipartStage } from './uploads/multipart-stage.ts';
export type {
  AsideFile,
  CopyOptions,
  CreatedUpload,
  KeptContent,
  KeptPart,
  UploadCopy,
  UploadStore,
} from './uploads/types.ts';
