/** How a folder's volume is mounted. */
export interface Mount {
  readonly point: string;
  /** `ext4`, `nfs4`, `fuse.sshfs`, … */
  readonly type: string;
  /** `/dev/sda1`, `server:/export`, … */
  readonly source: string;
  /** Of the mount and of its file system; those without a value have `''`. */
  readonly options: ReadonlyMap<string, string>;
}

/** Something that a person should know of the volume, in sentences: what is so, what it means, what to do. */
export interface Finding {
  /** By which it is known again at a later look. */
  readonly key: string;
  /** A problem is shown until it is mended; a note is in the log and the status only. */
  readonly severity: 'problem' | 'note';
  readonly message: string;
}

/** The mount that `path` (absolute, without symbolic links) is on, from the text of `/proc/self/mountinfo`, proc_pid_mountinfo(5). */
export function mountOf(mountinfo: string, path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const line of mountinfo.split('\n')) {
    const mount = parse(line);
    if (!mount || !isIn(path, mount.point)) continue;
    // What is mounted later at the same place hides what was there.
    if (!found || mount.point.length >= found.point.length) found = mount;
  }
  return found;
}

/**
 * What is wrong with a mount for this use, or slow. Cistern takes no locks on the volume and needs of it that rename replaces,
 * or link refuses to, and that a file which is opened is the one that is there now. So of NFS's options `nolock`, `local_lock`,
 * the version, `soft` (an error costs a hit) and `nconnect` are all the same to it.
 * @param others other processes use the folder, perhaps on other machines, which see what this one writes through their own mounts
 */
export function judgeMount(mount: Mount, others: boolean): Finding[] {
  const { type } = mount;
  if (type === 'nfs' || type === 'nfs4') return nfs(mount, others);
  if (OBJECT_STORES.test(`${type} ${mount.source}`)) return [objectStore(mount)];
  if (type === 'fuse.sshfs') return [SSHFS];
  if (type === 'cifs' || type === 'smb3') return smb(mount, others);
  if (type === '9p') return plan9(mount, others);
  if (type === 'overlay') return [CONTAINER];
  if (type === 'tmpfs' || type === 'ramfs') return [inMemory(mount)];
  return [];
}

const OBJECT_STORES = /\b(s3fs|mountpoint-s3|goofys|geesefs|gcsfuse|ossfs|blobfuse2?)\b/;
/** nfs(5): how long attributes of folders are cached at most where nothing else is said, s. */
const ACDIRMAX = 60;
/** Looks at the volume are a second apart, and others' writes are to be seen within two. */
const SOON_ENOUGH = 1;

function nfs(mount: Mount, others: boolean): Finding[] {
  const { options, source } = mount;
  const found: Finding[] = [];
  const severity = others ? 'problem' : 'note';
  if (options.has('nocto'))
    found.push({
      key: 'nocto',
      severity,
      message: `the cache is on NFS (${source}) mounted with nocto, so files that another machine has replaced may be read as they were for up to ${seconds(options, 'acregmax', 60)}: what others write through Cistern is noticed that much later, as far as the ttl lets. Mount it without nocto.`,
    });
  // The first write to an object makes a file that was not there before (its epoch). nfs(5), "Directory entry caching":
  // that a file is not there is believed until the attributes of its folder expire.
  const lookups = options.get('lookupcache') ?? 'all';
  const late = Number(options.get('acdirmax') ?? ACDIRMAX);
  if (lookups === 'all' && !options.has('noac') && late > SOON_ENOUGH)
    found.push({
      key: 'lookupcache',
      severity,
      message: `the cache is on NFS (${source}) mounted without lookupcache=pos, so this machine may believe for up to ${late} s that a file is missing which another one has made: what others write through Cistern, or have cached, is noticed that much later, writes not later than the ttl. Mount it with lookupcache=pos.`,
    });
  if (options.has('noac') || options.get('acregmax') === '0')
    found.push(
      slow(
        'noac',
        `the cache is on NFS (${source}) mounted with noac or actimeo=0, which makes many operations wait for the server that need not. Cistern does without it; lookupcache=pos is enough.`,
      ),
    );
  for (const size of ['rsize', 'wsize'] as const)
    if (Number(options.get(size) ?? 1 << 20) < 1 << 17)
      found.push(
        slow(
          size,
          `the cache is on NFS (${source}) mounted with ${size}=${options.get(size)}, so that extents of up to 8 MiB move in small pieces. Mount it without ${size}, or with ${size}=1048576.`,
        ),
      );
  if (options.has('sync')) found.push(synchronous(mount));
  // docs.aws.amazon.com/efs/latest/ug/mounting-fs-nfs-mount-settings.html
  if (/\.efs\.[a-z0-9-]+\.amazonaws\.com(\.cn)?:/.test(source) && !options.has('noresvport'))
    found.push({
      key: 'noresvport',
      severity: 'note',
      message: `the cache is on EFS (${source}) mounted without noresvport, without which AWS says that it may hang for long after the network was interrupted. Mount it with noresvport, or with amazon-efs-utils.`,
    });
  return found;
}

/** Its caches are in its own process, and their times are not shown: what it does by default was tried (docs/shared-cache.md). */
const SSHFS: Finding = {
  key: 'sshfs',
  severity: 'note',
  message:
    'the cache is on sshfs. Where other machines use the same folder, mount it with -o dir_cache=no,attr_timeout=0,entry_timeout=0,negative_timeout=0: else it may take 20 s, as far as the ttl lets, until they see what another one has written. Cistern can’t tell whether it was.',
};

function smb(mount: Mount, others: boolean): Finding[] {
  const found: Finding[] = [
    {
      key: 'smb',
      severity: 'note',
      message: `the cache is on an SMB share (${mount.source}), with which Cistern has not been tried. Where machines share a cache, NFS is the better choice.`,
    },
  ];
  if (mount.options.get('cache') === 'loose') found.push(loose(mount, others));
  return found;
}

function plan9(mount: Mount, others: boolean): Finding[] {
  const { options, source } = mount;
  if (/^[A-Za-z]:/.test(source) || (options.get('aname') ?? '').startsWith('drvfs'))
    return [
      slow(
        'drvfs',
        `the cache is in a folder of Windows (${source}) seen from WSL, where each small file takes many times as long. Choose a cache.cache_dir in the file system of Linux.`,
      ),
    ];
  return /loose|fscache|mmap/.test(options.get('cache') ?? '') ? [loose(mount, others)] : [];
}

function loose({ type, source, options }: Mount, others: boolean): Finding {
  return {
    key: 'loose',
    severity: others ? 'problem' : 'note',
    message: `the cache is on ${type} (${source}) mounted with cache=${options.get('cache')}, so this machine may go on reading files as they were before another one replaced them. For a cache that others use, mount it with ${type === '9p' ? 'cache=none' : 'cache=strict'}.`,
  };
}

const CONTAINER: Finding = {
  key: 'overlay',
  severity: 'note',
  message:
    'the cache is in a container’s own layer (overlay): it goes when the container is removed. Give the container a volume for cache.cache_dir.',
};

function inMemory({ type }: Mount): Finding {
  return {
    key: 'memory',
    severity: 'note',
    message: `the cache is in memory (${type}): it takes memory besides cache.max_ram_cache_size and is gone after a restart of the machine. Choose a cache.cache_dir on a disk.`,
  };
}

function objectStore({ type, source }: Mount): Finding {
  return {
    key: 'object_store',
    severity: 'problem',
    message: `the cache is on an object store that is shown as a file system (${source}, ${type}): what is kept there is no nearer than S3 itself. Choose a cache.cache_dir on a disk, or on NFS.`,
  };
}

function synchronous({ source }: Mount): Finding {
  return slow(
    'sync',
    `the cache volume (${source}) is mounted with sync, so that each write waits for the disk. Cistern does without it: what a crash has torn is found by its checksum.`,
  );
}

const slow = (key: string, message: string): Finding => ({ key, severity: 'note', message });

function seconds(options: ReadonlyMap<string, string>, name: string, otherwise: number): string {
  return `${Number(options.get(name) ?? otherwise)} s`;
}

function isIn(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}

function parse(line: string): Mount | undefined {
  const fields = line.split(' ');
  // Between the options and the dash there are none, one or more optional fields.
  const dash = fields.indexOf('-', 6);
  const [point, own] = [fields[4], fields[5]];
  const [type, source, ofFileSystem] = fields.slice(dash + 1);
  if (dash < 0 || point === undefined || own === undefined || type === undefined || source === undefined)
    return undefined;
  const options = new Map<string, string>();
  for (const option of `${own},${ofFileSystem ?? ''}`.split(',')) {
    const [name = '', ...value] = option.split('=');
    if (name !== '') options.set(name, unescaped(value.join('=')));
  }
  return { point: unescaped(point), type: unescaped(type), source: unescaped(source), options };
}

/** Space, tab, newline and backslash are written as `\040` and the like. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
