import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { Instance, type Neighbourhood } from '../../../proxy-core/store/disk/instance.ts';
import { DiskUnavailable } from '../../../proxy-core/store/disk/operations.ts';
import { Volume } from '../../../proxy-core/store/disk/volume.ts';
import { afterTest, tempFolder, until } from '../helpers.ts';

function create(
  cacheDir: string,
  volume = new Volume({ deadline: 5000 }),
  onOthers: (others: Neighbourhood) => void = () => {},
): Instance {
  const instance = new Instance({
    volume,
    cacheDir,
    modes: { file: 0o600, folder: 0o700 },
    facts: () => ({ bytes: 42 }),
    onOthers,
  });
  afterTest(() => instance.stop());
  return instance;
}

/** From here on time passes only as told, ms. */
function clockOf(): (ms: number) => void {
  let now = performance.now();
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
  afterTest(() => clock.mockRestore());
  return ms => {
    now += ms;
  };
}

/** One that can't show itself, and the instance file of another. */
function onFullVolume(other: string) {
  const folder = tempFolder();
  mkdirSync(join(folder, 'instances'));
  writeFileSync(join(folder, 'instances', `${other}.json`), '{"beat":7,"pid":1}');
  const volume = new Volume({ deadline: 5000 });
  const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  const broken = vi.spyOn(volume, 'writeFile').mockRejectedValue(full);
  const told: Neighbourhood[] = [];
  const instance = create(folder, volume, others => told.push(others));
  return { folder, broken, told, instance };
}

const filesOf = (cacheDir: string) => readdirSync(join(cacheDir, 'instances'));

describe('an instance', () => {
  it('shows itself by a file whose counter moves, and takes it away when it stops', async () => {
    const folder = tempFolder();
    const instance = create(folder);
    await instance.start();
    const file = join(folder, 'instances', `${instance.id}.json`);
    const read = () => JSON.parse(readFileSync(file, 'utf8') || '{}') as { beat?: number };
    expect(read()).toEqual({ beat: 1, pid: process.pid, bytes: 42 });
    await until(() => (read().beat ?? 0) > 1);
    await instance.stop();
    expect(filesOf(folder)).toEqual([]);
  });

  it('leaves no file behind when it stops in the middle of a beat', async () => {
    const folder = tempFolder();
    const volume = new Volume({ deadline: 5000 });
    const instance = create(folder, volume);
    await instance.start();
    const real = volume.writeFile.bind(volume);
    let goOn: (() => void) | undefined;
    vi.spyOn(volume, 'writeFile').mockImplementation(async (...args) => {
      await new Promise<void>(resolve => {
        goOn = resolve;
      });
      return real(...args);
    });
    await until(() => goOn);
    const stopping = instance.stop();
    goOn?.();
    await stopping;
    expect(filesOf(folder)).toEqual([]);
  });

  it('is alone until another shows itself, and again when that one has stopped', async () => {
    const folder = tempFolder();
    const first = create(folder);
    expect(first.alone).toBe(false);
    await first.start();
    expect(first.alone).toBe(true);
    const second = create(folder);
    await second.start();
    expect(second.alone).toBe(false);
    await until(() => !first.alone);
    await second.stop();
    await until(() => first.alone);
  });

  it('takes another for dead when its counter has not moved for a minute, and sweeps up after it', async () => {
    const folder = tempFolder();
    mkdirSync(join(folder, 'instances'));
    mkdirSync(join(folder, 'tmp', 'dead'), { recursive: true });
    writeFileSync(join(folder, 'tmp', 'dead', '1'), 'half-written');
    writeFileSync(join(folder, 'instances', 'dead.json'), '{"beat":7,"pid":1}');
    const [instance, living] = [create(folder), create(folder)];
    const pass = clockOf();
    for (let seconds = 0; seconds <= 58; seconds++, pass(1000)) for (const one of [living, instance]) await one.beat();
    expect(existsSync(join(folder, 'instances', 'dead.json'))).toBe(true);
    expect(existsSync(join(folder, 'tmp', 'dead'))).toBe(true);
    pass(5000);
    for (const one of [living, instance]) await one.beat();
    expect(existsSync(join(folder, 'tmp', 'dead'))).toBe(false);
    expect(filesOf(folder).sort()).toEqual([`${instance.id}.json`, `${living.id}.json`].sort());
    expect(instance.alone).toBe(false);
  });

  it('does not take others for dead because the volume did not answer for a minute', async () => {
    const folder = tempFolder();
    const volume = new Volume({ deadline: 5000 });
    const [instance, other] = [create(folder, volume), create(folder)];
    const pass = clockOf();
    for (const one of [other, instance]) await one.beat();
    mkdirSync(join(folder, 'tmp', other.id), { recursive: true });
    const hung = vi.spyOn(volume, 'readdir').mockRejectedValue(new DiskUnavailable('not answering'));
    for (let i = 0; i < 70; i++, pass(1000)) await instance.beat();
    hung.mockRestore();
    // The other has not been able to write either, and this one happens to look first.
    await instance.beat();
    expect(filesOf(folder)).toContain(`${other.id}.json`);
    expect(existsSync(join(folder, 'tmp', other.id))).toBe(true);
    expect(instance.alone).toBe(false);
    for (let i = 0; i < 62; i++, pass(1000)) await instance.beat();
    expect(filesOf(folder)).not.toContain(`${other.id}.json`);
  });

  it('is not alone for sure where a listing may be an old one: on a file system that is not known to be local', async () => {
    const volume = new Volume({ deadline: 5000 });
    const instance = create(tempFolder(), volume);
    await instance.beat();
    expect(instance.alone).toBe(true);
    const real = volume.statfs.bind(volume);
    // FUSE, NFS, SMB 2
    for (const type of [0x65735546, 0x6969, 0xfe534d42]) {
      const network = vi.spyOn(volume, 'statfs').mockImplementation(async path => ({ ...(await real(path)), type }));
      await instance.beat();
      expect([type.toString(16), instance.alone, instance.hasOthers]).toEqual([type.toString(16), false, false]);
      network.mockRestore();
    }
    await instance.beat();
    expect(instance.alone).toBe(true);
  });

  it('sweeps up half-written files and first heartbeats that no instance owns, once it has seen them for a minute', async () => {
    const folder = tempFolder();
    for (const name of ['orphan', 'owned']) mkdirSync(join(folder, 'tmp', name), { recursive: true });
    mkdirSync(join(folder, 'instances'));
    writeFileSync(join(folder, 'instances', 'owned.json'), '{"beat":7,"pid":1}');
    mkdirSync(join(folder, 'ended'));
    for (const name of ['killed', 'owned'])
      for (const where of ['instances', 'ended']) writeFileSync(join(folder, where, `${name}.next`), '{"beat":1');
    const beats = vi.spyOn(globalThis, 'setInterval');
    const instance = create(folder);
    await instance.start();
    const beat = beats.mock.calls.find(([, every]) => every === 1000)?.[0] as () => void;
    beats.mockRestore();
    const file = join(folder, 'instances', `${instance.id}.json`);
    expect(readdirSync(join(folder, 'tmp')).sort()).toEqual(['orphan', 'owned']);
    expect(filesOf(folder)).toContain('killed.next');
    await until(() => {
      beat();
      return !existsSync(join(folder, 'tmp', 'orphan')) && !filesOf(folder).includes('killed.next');
    });
    await until(() => Number(/"beat":(\d+)/.exec(readFileSync(file, 'utf8'))?.[1]) >= 61);
    expect(readdirSync(join(folder, 'tmp'))).toEqual(['owned']);
    expect(readdirSync(join(folder, 'ended'))).toEqual(['owned.next']);
    // The last beat may be on its way still.
    const left = [`${instance.id}.json`, 'owned.json', 'owned.next'].sort();
    await vi.waitFor(() => expect(filesOf(folder).sort()).toEqual(left));
  });

  it('knows nothing of others, and so is not alone, while the volume does not answer', async () => {
    const volume = new Volume({ deadline: 5000 });
    const instance = create(tempFolder(), volume);
    await instance.start();
    expect(instance.alone).toBe(true);
    const broken = vi.spyOn(volume, 'readdir').mockRejectedValue(new DiskUnavailable('not answering'));
    await until(() => !instance.alone);
    broken.mockRestore();
    await until(() => instance.alone);
  });

  it('tells what the others say also where the volume takes no heartbeat, of whom it takes none for dead then', async () => {
    const { folder, broken, told, instance } = onFullVolume('other');
    const pass = clockOf();
    await instance.start();
    for (let i = 0; i < 4; i++) {
      pass(30_000);
      await instance.beat();
    }
    expect(told.length).toBeGreaterThanOrEqual(5);
    expect(
      told.every(({ all, unreadable, shown }) => unreadable === undefined && !shown && all[0]?.state === 'living'),
    ).toBe(true);
    expect(instance.alone).toBe(false);
    broken.mockRestore();
    await instance.beat();
    expect(told.at(-1)).toMatchObject({ all: [{ id: 'other', state: 'living' }], unreadable: undefined, shown: true });
    expect(filesOf(folder)).toContain('other.json');
  });

  it('tells of one that was killed that it is quiet, also where the volume takes no heartbeat, so that nobody waits for what it said it does', async () => {
    const { told, instance } = onFullVolume('killed');
    const pass = clockOf();
    for (let beats = 0; beats < 110; beats++, pass(900)) await instance.beat();
    const quietAt = told.findIndex(({ all }) => all[0]?.quiet);
    expect(quietAt).toBe(4);
    expect(told.slice(quietAt).every(({ all }) => all[0]?.quiet && all[0].state === 'living')).toBe(true);
  });

  it('neither believes itself alone because it can’t read what another tells, nor takes that one for dead', async () => {
    const folder = tempFolder();
    const volume = new Volume({ deadline: 5000 });
    const [instance, other] = [create(folder, volume), create(folder)];
    const pass = clockOf();
    const real = volume.readFile.bind(volume);
    const refused = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
    const unreadable = vi.spyOn(volume, 'readFile');
    const refuse = () =>
      unreadable.mockImplementation(path => (path.includes(other.id) ? Promise.reject(refused) : real(path)));
    refuse();
    for (const one of [other, instance]) await one.beat();
    expect(instance.alone).toBe(false);
    unreadable.mockImplementation(real);
    await instance.beat();
    refuse();
    mkdirSync(join(folder, 'tmp', other.id), { recursive: true });
    for (let i = 0; i < 70; i++, pass(1000)) for (const one of [other, instance]) await one.beat();
    expect(filesOf(folder)).toContain(`${other.id}.json`);
    expect(existsSync(join(folder, 'tmp', other.id))).toBe(true);
    expect(instance.alone).toBe(false);
    // The other has ended meanwhile, and how long ago is not known either.
    await other.stop();
    unreadable.mockImplementation(real);
    await instance.beat();
    expect(instance.alone).toBe(true);
  });

  it('shows itself as soon as it can when the volume did not answer at its start', async () => {
    const folder = tempFolder();
    const volume = new Volume({ deadline: 5000 });
    const broken = vi.spyOn(volume, 'writeFile').mockRejectedValue(new DiskUnavailable('not answering'));
    const instance = create(folder, volume);
    await instance.start();
    expect(instance.alone).toBe(false);
    broken.mockRestore();
    await until(() => instance.alone && filesOf(folder).length === 1);
  });

  it('learns how far the volume’s clock is from its own, and takes a difference too small to tell for none', async () => {
    const volume = new Volume({ deadline: 5000 });
    const instance = create(tempFolder(), volume);
    await instance.start();
    expect(instance.clockOffset).toBe(0);
    const real = volume.stat.bind(volume);
    const skewed = vi
      .spyOn(volume, 'stat')
      .mockImplementation(async path => Object.assign(await real(path), { mtimeMs: Date.now() - 3_600_000 }));
    await until(() => instance.clockOffset !== 0);
    expect(Math.abs(instance.clockOffset + 3_600_000)).toBeLessThan(1000);
    skewed.mockRestore();
    await until(() => Math.abs(instance.clockOffset) < 50);
  });
});
