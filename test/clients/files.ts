import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { generatedBody } from '../origin/index.ts';

/** Bytes that differ everywhere and don't compress. */
export function sampleBytes(length: number, seed: number): Buffer {
  return generatedBody(length, seed).read(0, length);
}

export async function putFile(path: string, bytes: Buffer): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  return path;
}

export async function sha256OfFile(path: string): Promise<string> {
  return sha256(await readFile(path));
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** SHA-256 by path below the folder, `/` as separator. */
export async function treeOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const tree: Record<string, string> = {};
  for (const entry of entries.filter(candidate => candidate.isFile())) {
    const path = join(entry.parentPath, entry.name);
    tree[relative(folder, path).split(sep).join('/')] = await sha256OfFile(path);
  }
  return tree;
}
