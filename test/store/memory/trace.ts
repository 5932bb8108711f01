import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * A public block trace (CloudPhysics, shipped with libCacheSim) and the object misses of libCacheSim's own tests
 * (`test/test_evictionAlgo.c`: LRU; S3-FIFO is its `S3FIFOv0`). It lies beside the project, not in it.
 */
export const TRACE = fileURLToPath(
  new URL('../../../../shared/data/cloudPhysicsIO.oracleGeneral.bin', import.meta.url),
);
export const isTraceThere = existsSync(TRACE);

export const MIB = 1024 * 1024;
export const SIZES = [128, 256, 384, 512, 640, 768, 896, 1024];
export const PUBLISHED = {
  lru: [93374, 89783, 83572, 81722, 72494, 72104, 71972, 71704],
  s3fifo: [89307, 82387, 77041, 76791, 71300, 70343, 70455, 70355],
};

export interface TraceRequest {
  readonly key: string;
  readonly size: number;
}

/** Records of 24 bytes, little-endian: time u32, object u64, size u32, next access i64. */
export function readTrace(): TraceRequest[] {
  const bytes = readFileSync(TRACE);
  const requests: TraceRequest[] = [];
  for (let at = 0; at < bytes.length; at += 24)
    requests.push({ key: String(bytes.readBigUInt64LE(at + 4)), size: bytes.readUInt32LE(at + 12) });
  return requests;
}
