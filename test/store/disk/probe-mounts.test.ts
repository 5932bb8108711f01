import { describe, expect, it } from 'vitest';
import { judgeMount, type Mount, mountOf } from '../../../proxy-core/store/disk/mount-options.ts';

/** Lines as kernels write them. */
const TABLE = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 0:39 / /mnt/team rw,relatime shared:7 master:2 - nfs4 files.example:/team rw,vers=4.2,rsize=1048576,wsize=1048576,namlen=255,hard,proto=tcp,timeo=600,retrans=2,sec=sys,clientaddr=10.0.0.7,local_lock=none,addr=10.0.0.5
41 40 0:44 / /mnt/team/cache rw,relatime - nfs files.example:/cache rw,vers=3,nolock,lookupcache=pos
42 27 0:45 / /mnt/with\\040space\\134 rw,nosuid,nodev,relatime - fuse.sshfs me@host:/a\\040b rw,user_id=0,group_id=0
43 27 0:46 / /mnt/over rw - tmpfs below rw,size=4k
44 27 0:47 / /mnt/over rw - ext4 /dev/vdb rw
garbage
`;

function mounted(type: string, options = '', source = 'files.example:/team'): Mount {
  const found = mountOf(`40 27 0:39 / /c rw,relatime - ${type} ${source} rw${options && `,${options}`}`, '/c/cache');
  if (!found) throw new Error('not found');
  return found;
}

const keys = (mount: Mount, others = true) =>
  judgeMount(mount, others).map(({ key, severity }) => `${severity} ${key}`);

describe('the mount of a folder', () => {
  it.each([
    ['/var/cache', '/', 'ext4'],
    ['/mnt/team', '/mnt/team', 'nfs4'],
    ['/mnt/team/elsewhere/cistern', '/mnt/team', 'nfs4'],
    ['/mnt/team/cache/cistern', '/mnt/team/cache', 'nfs'],
    ['/mnt/teamwork', '/', 'ext4'],
    ['/mnt/with space\\/x', '/mnt/with space\\', 'fuse.sshfs'],
  ])('of %s is at %s', (path, point, type) => {
    expect(mountOf(TABLE, path)).toMatchObject({ point, type });
  });

  it('is the one that was mounted last where several are', () => {
    expect(mountOf(TABLE, '/mnt/over/x')?.source).toBe('/dev/vdb');
  });

  it('has the options of the mount and those of the file system', () => {
    const { options, source } = mountOf(TABLE, '/mnt/team') as Mount;
    expect(source).toBe('files.example:/team');
    expect(options.get('relatime')).toBe('');
    expect(options.get('vers')).toBe('4.2');
  });

  it('is unknown where the table has none', () => {
    expect(mountOf('', '/c')).toBeUndefined();
  });
});

describe('a mount of NFS', () => {
  it('with the defaults makes others’ writes late: a problem where there are others, else a note', () => {
    expect(keys(mounted('nfs4'))).toEqual(['problem lookupcache']);
    expect(keys(mounted('nfs4'), false)).toEqual(['note lookupcache']);
  });

  it('says how late, and what to do', () => {
    const [found] = judgeMount(mounted('nfs4', 'acdirmax=17'), true);
    expect(found?.message).toContain('files.example:/team');
    expect(found?.message).toContain('for up to 17 s');
    expect(found?.message).toContain('Mount it with lookupcache=pos');
  });

  it.each(['lookupcache=pos', 'lookupcache=none', 'acregmin=1,acregmax=1,acdirmin=1,acdirmax=1'])(
    'with %s is right',
    options => {
      expect(keys(mounted('nfs4', options))).toEqual([]);
    },
  );

  it('may have what does not matter here', () => {
    const options = 'lookupcache=pos,vers=3,nolock,local_lock=all,soft,timeo=50,nconnect=8,noatime';
    expect(keys(mounted('nfs', options))).toEqual([]);
  });

  it('with nocto is wrong', () => {
    expect(keys(mounted('nfs4', 'lookupcache=pos,nocto'))).toEqual(['problem nocto']);
  });

  it.each([
    ['acregmin=0,acregmax=0,acdirmin=0,acdirmax=0,noac', 'noac'],
    ['lookupcache=pos,rsize=32768', 'rsize'],
    ['lookupcache=pos,wsize=8192', 'wsize'],
    ['lookupcache=pos,sync', 'sync'],
  ])('with %s is slow', (options, key) => {
    expect(keys(mounted('nfs4', options))).toEqual([`note ${key}`]);
  });

  it('of EFS without noresvport is noted', () => {
    const efs = 'fs-0123.efs.eu-west-1.amazonaws.com:/';
    expect(keys(mounted('nfs4', 'lookupcache=pos', efs))).toEqual(['note noresvport']);
    expect(keys(mounted('nfs4', 'lookupcache=pos,noresvport', efs))).toEqual([]);
    expect(keys(mounted('nfs4', 'lookupcache=pos', 'fs-0123.fsx.eu-west-1.amazonaws.com:/'))).toEqual([]);
  });
});

describe('a mount of another kind', () => {
  it.each([
    ['ext4', '', '/dev/vda', []],
    ['xfs', '', '/dev/vda', []],
    ['lustre', 'flock', '10.0.0.1@tcp:/abc', []],
    ['fuse.sshfs', '', 'me@host:/cache', ['note sshfs']],
    ['cifs', 'cache=strict', '//host/share', ['note smb']],
    ['smb3', 'cache=loose', '//host/share', ['note smb', 'problem loose']],
    ['9p', 'aname=drvfs;path=C:\\134', 'C:\\134', ['note drvfs']],
    ['9p', 'trans=virtio,cache=loose', 'shared', ['problem loose']],
    ['9p', 'trans=virtio', 'shared', []],
    ['overlay', 'lowerdir=/a', 'overlay', ['note overlay']],
    ['tmpfs', 'size=4k', 'tmpfs', ['note memory']],
    ['fuse', '', 'mountpoint-s3', ['problem object_store']],
    ['fuse.s3fs', '', 's3fs', ['problem object_store']],
  ])('%s %s of %s', (type, options, source, expected) => {
    expect(keys(mounted(type, options, source))).toEqual(expected);
  });
});
