import type { Finding, Mount } from './mount-options.ts';

/** What was tried on the volume, and what came of it. */
export interface VolumeFacts {
  /** What was written was read again. */
  readonly readsBack: boolean;
  /** `refuses`: a link to a name that is taken fails, as it should; `replaces`: it succeeds; `none`: no hard links, for which rename is as good. */
  readonly links: 'refuses' | 'replaces' | 'none';
  /** A file can be renamed over another one, which it then takes the place of. */
  readonly replaces: boolean;
  /** The first bytes of a file can be overwritten where they are. */
  readonly overwrites: boolean;
  /** Mode of a new file, and the one that was asked for; undefined where modes mean nothing. */
  readonly mode: { readonly asked: number; readonly is: number } | undefined;
  /** The longest of the names tried that it takes, bytes; 0: none of them. */
  readonly longestName: number;
  /** `A` and `a` are one file. */
  readonly foldsCase: boolean;
  /** It says how much space a file takes. */
  readonly countsBlocks: boolean;
  /** How far its clock is ahead of ours (negative: behind), ms. */
  readonly clockAhead: number;
  /** Medians of publishing a small file, and of reading one, ms. */
  readonly writeMs: number;
  readonly readMs: number;
  /** Bytes, and the files that there is room for where it has a limit of them. */
  readonly space: { readonly total: number; readonly free: number; readonly freeFiles: number | undefined };
}

/** `<bucket>@<origin>` at its longest (paths.ts). */
export const LONGEST_NAME = 241;
/** Any name of an object's files: `<hash>.<version>.<start>-<end>`, and a little more. */
export const OBJECT_NAME = 120;

const SLOW_READ = 20;
const SLOWER_THAN_S3 = 100;
const CLOCK_OFF = 5000;
const FEW_FILES = 10_000;

/** What of the facts a person should know. */
export function judgeVolume(facts: VolumeFacts): Finding[] {
  return CHECKS.flatMap(check => check(facts) ?? []);
}

/** The volume in one line: what it is, and what was found. */
export function summary(mount: Mount | undefined, facts: VolumeFacts): string {
  const what = mount ? [`${mount.type} (${mount.source}) at ${mount.point}`] : [];
  const links = facts.links === 'none' ? 'no hard links' : 'hard links';
  const { writeMs, readMs, space, clockAhead } = facts;
  const clock =
    Math.abs(clockAhead) < CLOCK_OFF ? [] : [`clock ${inWords(clockAhead)} ${clockAhead > 0 ? 'ahead' : 'behind'}`];
  return [
    ...what,
    links,
    `a small file is written in ${round(writeMs)} ms and read in ${round(readMs)} ms`,
    `${(space.free / 2 ** 30).toFixed(1)} GiB free`,
    ...clock,
  ].join(', ');
}

type Check = (facts: VolumeFacts) => Finding | undefined;

const CHECKS: readonly Check[] = [
  ({ readsBack }) =>
    readsBack
      ? undefined
      : problem(
          'content',
          'the cache volume gave back other bytes than had been written. Cistern checks all it reads, so they cost hits only; check the disk or its server, or choose another cache.cache_dir.',
        ),
  ({ replaces }) =>
    replaces
      ? undefined
      : problem(
          'rename',
          'on the cache volume a file can’t be renamed over another one, so nothing that was cached can be brought up to date. Choose a cache.cache_dir on another volume (on sshfs: an SSH server that knows posix-rename, as OpenSSH does).',
        ),
  ({ links }) =>
    links === 'replaces'
      ? note(
          'link_replaces',
          'on the cache volume a link takes the place of a file of that name instead of being refused. What is cached is right all the same; two processes that store the same bytes may be counted twice for an hour.',
        )
      : undefined,
  ({ overwrites }) =>
    overwrites
      ? undefined
      : problem(
          'overwrite',
          'on the cache volume a file can’t be changed in place, so it is not recorded when S3 has vouched for an object again: after the ttl, other processes ask S3 more often. Choose a cache.cache_dir on another volume.',
        ),
  ({ mode }) =>
    mode && (mode.is & ~mode.asked & 0o077) !== 0
      ? problem(
          'modes',
          `the cache volume shows files with mode ${octal(mode.is)} that were made with ${octal(mode.asked)}: other accounts that reach this mount may read what is cached. Mount it so that it keeps modes (vfat, exfat, ntfs, smb: umask=077 or file_mode=0600; WSL: -o metadata), or choose another cache.cache_dir.`,
        )
      : undefined,
  ({ longestName }) =>
    longestName < OBJECT_NAME
      ? problem(
          'names',
          `the cache volume takes no file names of ${OBJECT_NAME} bytes, which Cistern needs. Choose a cache.cache_dir on another volume.`,
        )
      : longestName < LONGEST_NAME
        ? note(
            'names',
            `the cache volume takes no file names of ${LONGEST_NAME} bytes: buckets of S3-compatible servers whose names are very long are not kept.`,
          )
        : undefined,
  ({ countsBlocks }) =>
    countsBlocks
      ? undefined
      : problem(
          'blocks',
          'the cache volume does not say how much space files take, so cache.max_cache_size can’t be held there. Give the cache a volume of its own of that size, or choose another cache.cache_dir.',
        ),
  ({ space }) =>
    space.total === 0
      ? problem(
          'space',
          'the cache volume does not say how much space it has, so Cistern takes it for full and keeps nothing new. Choose a cache.cache_dir on another volume.',
        )
      : undefined,
  ({ space: { freeFiles } }) =>
    freeFiles !== undefined && freeFiles < FEW_FILES
      ? problem(
          'inodes',
          `the cache volume has room for only ${freeFiles} more files (inodes), whatever space is free. Remove files there, or give the cache a volume with more inodes.`,
        )
      : undefined,
  ({ clockAhead }) =>
    Math.abs(clockAhead) < CLOCK_OFF
      ? undefined
      : note(
          'clock',
          `the clock of the cache volume is ${inWords(clockAhead)} ${clockAhead > 0 ? 'ahead of' : 'behind'} this machine’s. Cistern goes by the volume’s and allows for it; S3 refuses signatures of a machine whose clock is 15 minutes off, so set the one that is wrong.`,
        ),
  ({ readMs }) =>
    readMs >= SLOWER_THAN_S3
      ? problem(
          'latency',
          `the cache volume takes ${round(readMs)} ms to read a small file, which is longer than S3 takes as a rule: the cache on it makes reads of small objects slower, not faster. Choose a cache.cache_dir on a nearer volume.`,
        )
      : readMs >= SLOW_READ
        ? note(
            'latency',
            `the cache volume takes ${round(readMs)} ms to read a small file. What is in memory is served without it; for small objects a nearer volume would be faster.`,
          )
        : undefined,
];

const problem = (key: string, message: string): Finding => ({ key, severity: 'problem', message });
const note = (key: string, message: string): Finding => ({ key, severity: 'note', message });
const octal = (mode: number) => mode.toString(8).padStart(4, '0');

function round(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : String(Math.round(ms));
}

function inWords(ms: number): string {
  const seconds = Math.abs(ms) / 1000;
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
