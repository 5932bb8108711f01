import type { Volume } from './volume.ts';

/** Magic numbers of statfs(2), `f_type`, of file systems that one machine alone writes to, through one kernel. */
const LOCAL: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0x2fc12fc1, // zfs
  0xf2f52010, // f2fs
  0xca451a4e, // bcachefs
  0x01021994, // tmpfs
  0x858458f6, // ramfs
  0x794c7630, // overlayfs: a container's own layer, or a folder of its machine's
]);

/**
 * Whether what one process does on the volume is what all others see at once. False where that isn't known: of network and
 * FUSE file systems, of those that are not in the list, and everywhere but on Linux, where the system does not say by a number.
 */
export async function isLocal(volume: Volume, folder: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  return volume.statfs(folder).then(
    // Numbers above 31 bits come with a sign on some machines.
    ({ type }) => LOCAL.has(type >>> 0),
    () => false,
  );
}
