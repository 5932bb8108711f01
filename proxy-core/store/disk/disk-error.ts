import { constants } from 'node:os';
import { DiskUnavailable, FolderClosed } from './operations.ts';

/** What a person can make of an error's code: what is wrong with the volume, and what to do. */
const WORDS: Readonly<Record<string, readonly [string, string]>> = {
  EIO: ['the cache volume failed (EIO, input/output error)', 'Check the disk or its server.'],
  ESTALE: ['the cache volume no longer knows its files (ESTALE, stale file handle)', 'Mount it again.'],
  ENOTCONN: ['the cache volume is not connected any more (ENOTCONN)', 'Mount it again.'],
  ENODEV: ['the cache volume is not there any more (ENODEV)', 'Mount it again.'],
  ENXIO: ['the cache volume is not there any more (ENXIO)', 'Mount it again.'],
  EROFS: ['the cache volume is read-only (EROFS)', 'Mount it writable.'],
  ENOSPC: ['the cache volume is full (ENOSPC)', 'Make room on it, or lower cache.max_cache_size.'],
  EDQUOT: ['the quota on the cache volume is used up (EDQUOT)', 'Make room, or lower cache.max_cache_size.'],
  EACCES: ['something in the cache folder may not be used (EACCES)', 'Check the owners and modes of what is in it.'],
  EPERM: ['something in the cache folder may not be used (EPERM)', 'Check the owners and modes of what is in it.'],
  EMFILE: ['too many files are open (EMFILE)', 'Raise the limit of the process (ulimit -n).'],
  ENFILE: ['too many files are open on this machine (ENFILE)', 'Raise the limit of the system.'],
};
/** Of an operation that missed its deadline. */
export const NO_ANSWER =
  'the cache volume did not answer in time. Check the disk or its server, or raise cache.disk_timeout.';

/** The system's code of an error. libuv has no name for ESTALE, for which Node says `Unknown system error -116`. */
export function codeOf(error: unknown): string | undefined {
  const { code, errno } = error as NodeJS.ErrnoException;
  return errno !== undefined && errno === -constants.errno.ESTALE ? 'ESTALE' : code;
}

/** There is no such file or folder: on a cache volume a miss, and nobody's trouble. */
export function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Whether a volume does not do hard links, as link(2) lists it, NFS and SMB servers do it, or has no more for this file. */
export function hasNoLinks(error: unknown): boolean {
  return ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(codeOf(error) ?? '');
}

/** What went wrong with the volume and what to do, in sentences; without the path, so that it is one trouble for all files. */
export function inWords(error: unknown): string {
  if (error instanceof FolderClosed) return error.message;
  if (error instanceof DiskUnavailable) return NO_ANSWER;
  const words = WORDS[codeOf(error) ?? ''];
  if (words) return `${words[0]}. ${words[1]}`;
  const { message, syscall } = error as NodeJS.ErrnoException;
  return syscall === undefined ? message : (message.split(`, ${syscall}`)[0] ?? message);
}
