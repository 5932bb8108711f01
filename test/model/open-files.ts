import { readdir, readlink } from 'node:fs/promises';

/**
 * What a process holds open, by what the kernel says of it (`socket:[…]`, a path, a path and ` (deleted)`). Empty where
 * there is no /proc.
 */
export async function openFiles(pid: number | undefined): Promise<string[]> {
  const folder = `/proc/${pid ?? 'self'}/fd`;
  const names = await readdir(folder).catch(() => []);
  const links = await Promise.all(names.map(name => readlink(`${folder}/${name}`).catch(() => '')));
  return links.filter(link => link !== '');
}
