// A cache folder with very many objects in it, for the scenarios that measure what their number costs.
import fs from 'node:fs';
import { join } from 'node:path';
import blake3 from 'blake3-wasm';

export interface ManyObjects {
  readonly cacheDir: string;
  readonly objects: number;
  readonly bytesEach: number;
}

/** Names that one file may have, with room to spare: ext4 allows 65,000. */
const LINKS = 50_000;
const AT_ONCE = 20_000;

/**
 * Small objects, spread over the folders as the store spreads them. Their files are hard links to a few: so a million of 64 KiB
 * is made in a minute or so, and takes the volume no more than its folders do. What eviction and the census see of them is what they
 * would see of real ones; whoever reads one finds it damaged.
 */
export async function answer({ cacheDir, objects, bytesEach }: ManyObjects): Promise<{ readonly bytes: number }> {
  const bucket = join(cacheDir, 'buckets', 'many');
  const source = join(cacheDir, 'sources');
  fs.mkdirSync(source, { recursive: true, mode: 0o700 });
  const made = new Set<string>();
  for (let i = 0; i < objects; i++) {
    const file = join(source, String(Math.floor(i / LINKS)));
    if (i % LINKS === 0) fs.writeFileSync(file, Buffer.alloc(bytesEach, i + 1), { mode: 0o600 });
    const hash = blake3.hash(Buffer.from(`aws\0many\0${i}`)).toString('hex');
    const leaf = join(bucket, hash.slice(0, 2), hash.slice(2, 5));
    if (!made.has(leaf)) {
      fs.mkdirSync(leaf, { recursive: true, mode: 0o700 });
      made.add(leaf);
    }
    fs.linkSync(file, join(leaf, `${hash}.head`));
    if (i % AT_ONCE === 0) await new Promise(setImmediate);
  }
  fs.rmSync(source, { recursive: true });
  return { bytes: objects * bytesEach };
}
