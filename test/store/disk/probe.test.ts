import { existsSync, mkdirSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { Probe, type VolumeReport } from '../../../proxy-core/store/disk/probe.ts';
import { tryVolume } from '../../../proxy-core/store/disk/probe-trial.ts';
import { Scratch } from '../../../proxy-core/store/disk/scratch.ts';
import { Volume } from '../../../proxy-core/store/disk/volume.ts';
import { mountFaulty } from '../../reliability/mount.ts';
import { describeWith } from '../../tools/index.ts';
import { afterTest, openStore, tempFolder } from '../helpers.ts';

const MODES = { file: 0o600, folder: 0o700 };

function failing(code: string) {
  return async () => {
    throw Object.assign(new Error(code), { code });
  };
}

function trial(volume: Volume, cacheDir: string, stopped = () => false) {
  return tryVolume({ volume, cacheDir, folder: join(cacheDir, 'tmp', 'probe'), modes: MODES, stopped });
}

function create(options: { deadline?: number } = {}) {
  const cacheDir = tempFolder();
  const volume = new Volume({ deadline: 5000, ...options });
  return { cacheDir, volume };
}

interface Probed {
  readonly probe: Probe;
  readonly problems: Map<string, string>;
  readonly reports: VolumeReport[];
}

function probeOf({ volume, cacheDir }: { volume: Volume; cacheDir: string }): Probed {
  const problems = new Map<string, string>();
  const reports: VolumeReport[] = [];
  const probe = new Probe({
    volume,
    cacheDir,
    scratch: new Scratch({ volume, cacheDir, instance: () => '1', modes: MODES, onBytes: () => {} }),
    others: () => true,
    onProblem: (key, message) => {
      if (message === undefined) problems.delete(key);
      else problems.set(key, message);
    },
    onReport: report => reports.push(report),
  });
  afterTest(() => probe.stop());
  return { probe, problems, reports };
}

describe('a trial of the volume', () => {
  it('finds that an ordinary disk does all that is needed, and leaves nothing', async () => {
    const { cacheDir, volume } = create();
    const facts = await trial(volume, cacheDir);
    expect(facts).toMatchObject({
      readsBack: true,
      links: 'refuses',
      replaces: true,
      overwrites: true,
      longestName: 241,
      countsBlocks: true,
      clockAhead: 0,
    });
    if (process.platform !== 'win32') expect(facts.mode).toEqual({ asked: 0o600, is: 0o600 });
    expect(facts.readMs).toBeGreaterThan(0);
    expect(facts.space.free).toBeGreaterThan(0);
    expect(readdirSync(join(cacheDir, 'tmp'))).toEqual([]);
  });

  it('tells a volume without hard links', async () => {
    const { cacheDir, volume } = create();
    volume.link = failing('ENOTSUP');
    expect((await trial(volume, cacheDir)).links).toBe('none');
  });

  it('tells one where a link takes a name that is taken', async () => {
    const { cacheDir, volume } = create();
    const link = volume.link.bind(volume);
    volume.link = async (from, to) => {
      if (existsSync(to)) await volume.unlink(to);
      await link(from, to);
    };
    expect((await trial(volume, cacheDir)).links).toBe('replaces');
  });

  it('tells one that renames to free names only', async () => {
    const { cacheDir, volume } = create();
    const rename = volume.rename.bind(volume);
    volume.rename = async (from, to) => (existsSync(to) ? failing('EEXIST')() : rename(from, to));
    expect((await trial(volume, cacheDir)).replaces).toBe(false);
  });

  it('tells one that only appends', async () => {
    const { cacheDir, volume } = create();
    const open = volume.open.bind(volume);
    volume.open = async (path, flags, mode) => (flags === 'r+' ? failing('EINVAL')() : open(path, flags, mode));
    expect((await trial(volume, cacheDir)).overwrites).toBe(false);
  });

  it('tells how long names may be', async () => {
    const { cacheDir, volume } = create();
    const write = volume.writeFile.bind(volume);
    volume.writeFile = async (path, ...rest) =>
      (path.split('/').at(-1) as string).length > 143 ? failing('ENAMETOOLONG')() : write(path, ...rest);
    expect((await trial(volume, cacheDir)).longestName).toBe(120);
  });

  it.each([240_000, -240_000])('measures a clock that is %i ms ahead', async skew => {
    const { cacheDir, volume } = create();
    const write = volume.writeFile.bind(volume);
    volume.writeFile = async (path, ...rest) => {
      await write(path, ...rest);
      const then = new Date(Date.now() + skew);
      utimesSync(path, then, then);
    };
    const { clockAhead } = await trial(volume, cacheDir);
    expect(Math.abs(clockAhead - skew)).toBeLessThan(2000);
  });

  it('judges nothing by a full volume, and cleans up', async () => {
    const { cacheDir, volume } = create();
    volume.rename = failing('ENOSPC');
    await expect(trial(volume, cacheDir)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(readdirSync(join(cacheDir, 'tmp'))).toEqual([]);
  });

  it('ends when it is told to', async () => {
    const { cacheDir, volume } = create();
    let asked = 0;
    await expect(trial(volume, cacheDir, () => ++asked > 5)).rejects.toThrow();
    expect(readdirSync(join(cacheDir, 'tmp'))).toEqual([]);
  });
});

describe('the probe', () => {
  it('reports, and shows problems until a later look finds them mended', async () => {
    const place = create();
    const { probe, problems, reports } = probeOf(place);
    const { rename } = place.volume;
    place.volume.rename = failing('EPERM');
    await probe.look();
    expect(problems.get('volume_rename')).toContain('can’t be renamed over another one');
    place.volume.rename = rename;
    await probe.look();
    expect(problems.get('volume_rename')).toBeUndefined();
    expect(reports).toHaveLength(2);
    expect(reports[1]).toMatchObject({ hard_links: true, clock_ahead_ms: 0 });
    expect(reports[1]?.summary).toMatch(/hard links, a small file is written in [\d.]+ ms and read in [\d.]+ ms/);
    if (process.platform === 'linux') expect(reports[1]?.mounted_at).toMatch(/^\//);
  });

  it('keeps quiet about a volume that does not answer, which is shown already, and lets itself be stopped', async () => {
    const place = create({ deadline: 50 });
    const { probe, problems, reports } = probeOf(place);
    place.volume.writeFile = () => place.volume.run<void>(() => {});
    await probe.look();
    expect(reports).toEqual([]);
    expect([...problems.keys()].filter(key => key !== 'volume_overlay')).toEqual([]);
    await probe.stop();
  });

  it('runs by itself after the store has opened, on files of its own', async () => {
    const cacheDir = tempFolder();
    const report = await new Promise<VolumeReport>(resolve => void openStore(cacheDir, { onVolume: resolve }));
    expect(report.hard_links).toBe(true);
    expect(readdirSync(cacheDir)).not.toContain('buckets');
  }, 20_000);

  it('does not keep the store from closing', async () => {
    const onVolume = vi.fn();
    const { close } = await openStore(tempFolder(), { onVolume });
    expect(await close()).toBe(true);
    expect(onVolume).not.toHaveBeenCalled();
  });
});

describeWith('fuse', 'a FUSE volume', () => {
  it('is tried like any other, and named by its mount', async () => {
    const folder = tempFolder();
    await using layer = await mountFaulty(folder);
    const cacheDir = join(layer.path, 'cache');
    mkdirSync(cacheDir);
    const { probe, problems, reports } = probeOf({ cacheDir, volume: new Volume({ deadline: 5000 }) });
    await probe.look();
    expect(reports[0]).toMatchObject({ mounted_at: layer.path, hard_links: true });
    expect(reports[0]?.file_system).toMatch(/^fuse/);
    expect([...problems.keys()]).toEqual([]);
  });

  it('whose reads take long is told so', async () => {
    const folder = tempFolder();
    await using layer = await mountFaulty(folder);
    const cacheDir = join(layer.path, 'cache');
    mkdirSync(cacheDir);
    const { probe, problems } = probeOf({ cacheDir, volume: new Volume({ deadline: 5000 }) });
    await layer.set({ ops: ['read'], delay: 0.12 });
    await probe.look();
    expect(problems.get('volume_latency')).toContain('longer than S3 takes');
  });

  it('whose server has no room is not judged by it', async () => {
    const folder = tempFolder();
    await using layer = await mountFaulty(folder);
    const cacheDir = join(layer.path, 'cache');
    mkdirSync(cacheDir);
    const { probe, problems, reports } = probeOf({ cacheDir, volume: new Volume({ deadline: 5000 }) });
    await layer.set({ ops: ['create', 'write'], error: 'ENOSPC' });
    await probe.look();
    expect(reports).toEqual([]);
    expect([...problems.keys()]).toEqual([]);
    await layer.set();
    await probe.look();
    expect(reports).toHaveLength(1);
  });
});
