import type { StatsFs } from 'node:fs';

/** By the numbers of Linux' statfs(2): ext2 to 4, XFS, Btrfs, F2FS, ZFS, bcachefs, tmpfs, ramfs, overlayfs. */
const LOCAL: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x01021994, 0x858458f6, 0x794c7630,
]);

/** A file system of this machine's own disks or memory. Known on Linux; elsewhere none is. */
export function isLocal({ type }: Pick<StatsFs, 'type'>): boolean {
  // Numbers above 31 bits come with a sign on some machines.
  return process.platform === 'linux' && LOCAL.has(type >>> 0);
}
