import { objectAddress } from '../../proxy-core/request/index.ts';
import { objectHash } from '../../proxy-core/store/disk/paths.ts';
import { uploadHash } from '../../proxy-core/store/uploads/multipart-files.ts';
import type { Origin } from '../origin/index.ts';
import type { Subject } from './world.ts';

/** Name of a multipart upload's folder in `uploads/`. */
export function stagingFolder({ address }: Origin, { bucket, key }: Subject, uploadId: string): string {
  return uploadHash(objectAddress(address, bucket, key), uploadId);
}

/** An object's hash in the names of its files. */
export function hashOf({ address }: Origin, { bucket, key }: Subject): string {
  return objectHash(objectAddress(address, bucket, key));
}
