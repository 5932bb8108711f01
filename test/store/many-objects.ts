import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { objectAddress } from '../../proxy-core/request/index.ts';
import { newMarker } from '../../proxy-core/store/disk/folder-verdict.ts';
import { encodeHead } from '../../proxy-core/store/disk/head-file.ts';
import { ObjectPaths, objectHash } from '../../proxy-core/store/disk/paths.ts';
import { versionId } from '../../proxy-core/store/index.ts';

/** A cache folder in which so many small objects of one bucket are kept, as a proxy would have left it, but made at the speed of the disk. */
export function growTree(cacheDir: string, bucket: string, count: number): void {
  mkdirSync(cacheDir, { recursive: true });
  writeFileSync(join(cacheDir, 'cistern.json'), newMarker());
  const stamp = { validatedAt: Date.now(), epoch: '' };
  const folders = new Set<string>();
  for (let i = 0; i < count; i++) {
    const address = objectAddress('aws', bucket, `a/key/of/usual/length/part-${i}.parquet`);
    const paths = new ObjectPaths(cacheDir, address, objectHash(address));
    const etag = `"${i.toString(16).padStart(32, '0')}"`;
    const head = {
      ...{ etag, length: 0, version: versionId(etag, 0), lastModified: undefined, checksumsKnown: false },
      headers: ['ETag', etag, 'Content-Length', '', 'Content-Type', 'application/octet-stream', 'Server', 'AmazonS3'],
    };
    if (!folders.has(paths.leaf)) {
      folders.add(paths.leaf);
      mkdirSync(paths.leaf, { recursive: true });
    }
    writeFileSync(paths.head, encodeHead(address.storeKey, head, stamp));
  }
}
