import { open, readdir, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Files below a folder. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
}

/**
 * Removes or damages a head or an extent. Not an epoch: that a write happened is known by it alone, and eviction spares
 * it, too.
 */
export async function harm(cacheDir: string, pick: number, how: 'unlink' | 'truncate' | 'flip'): Promise<void> {
  const all = await filesUnder(join(cacheDir, 'buckets'));
  const files = all.filter(file => !file.endsWith('.epoch') && !file.endsWith('_settings.json')).sort();
  const file = files[pick % Math.max(1, files.length)];
  if (file === undefined) return;
  // It may be gone already.
  await (how === 'unlink' ? unlink(file) : how === 'truncate' ? truncate(file, pick) : flip(file, pick)).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    },
  );
}

async function flip(path: string, pick: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    if (size === 0) return;
    const at = (pick * 7919) % size;
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte[0]! ^= 0x55;
    await file.write(byte, 0, 1, at);
  } finally {
    await file.close();
  }
}
