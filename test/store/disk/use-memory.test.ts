import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Scratch } from '../../../proxy-core/store/disk/scratch.ts';
import { decodeUses, encodeUses } from '../../../proxy-core/store/disk/use-file.ts';
import { UseMemory } from '../../../proxy-core/store/disk/use-memory.ts';
import { Uses } from '../../../proxy-core/store/disk/uses.ts';
import { Volume } from '../../../proxy-core/store/disk/volume.ts';
import { FrequencySketch } from '../../../proxy-core/store/memory/sketch.ts';
import { tempFolder } from '../helpers.ts';

interface Process {
  readonly uses: Uses;
  readonly memory: UseMemory;
  /** Uses this key so often. */
  use(key: number, times: number): void;
}

/** One with a file in `instances/`, as long as it lives. */
function begin(cacheDir: string, instance: string, entries = 256): Process {
  const clock = { seconds: 1000 };
  const uses = new Uses({ seconds: () => clock.seconds, entries });
  const modes = { file: 0o600, folder: 0o700 };
  const scratch = new Scratch({
    volume: new Volume({ deadline: 5000 }),
    cacheDir,
    instance: () => instance,
    modes,
    onBytes: () => {},
  });
  mkdirSync(join(cacheDir, 'instances'), { recursive: true });
  writeFileSync(join(cacheDir, 'instances', `${instance}.json`), '{}');
  return {
    uses,
    memory: new UseMemory({ uses, scratch, cacheDir, instance: () => instance }),
    use(key, times) {
      for (let i = 0; i < times; i++) {
        uses.count(key);
        clock.seconds += 10;
      }
    },
  };
}

async function end(cacheDir: string, instance: string, process: Process): Promise<void> {
  await process.memory.stop();
  const { volume } = new Scratch({
    volume: new Volume({ deadline: 5000 }),
    cacheDir,
    instance: () => instance,
    modes: { file: 0o600, folder: 0o700 },
    onBytes: () => {},
  });
  await volume.unlink(join(cacheDir, 'instances', `${instance}.json`));
}

const filesOf = (cacheDir: string) =>
  existsSync(join(cacheDir, 'uses')) ? readdirSync(join(cacheDir, 'uses')).sort() : [];

describe('what is known of uses', () => {
  it('is known to the process that comes after, whose file takes the place of the one before', async () => {
    const folder = tempFolder();
    const first = begin(folder, 'first');
    first.use(7, 9);
    await end(folder, 'first', first);
    expect(filesOf(folder)).toEqual(['first']);
    expect(statSync(join(folder, 'uses', 'first')).mode & 0o777).toBe(0o600);

    const second = begin(folder, 'second');
    await second.memory.load();
    expect(second.uses.frequency(7)).toBe(9);
    expect(filesOf(folder)).toEqual(['first']);
    second.use(8, 3);
    await end(folder, 'second', second);
    expect(filesOf(folder)).toEqual(['second']);

    const third = begin(folder, 'third');
    await third.memory.load();
    expect([third.uses.frequency(7), third.uses.frequency(8)]).toEqual([9, 3]);
  });

  it('is the most that any of several processes knew, and none removes the file of one that lives', async () => {
    const folder = tempFolder();
    const [one, other] = [begin(folder, 'one'), begin(folder, 'other', 4096)];
    one.use(7, 9);
    one.use(8, 2);
    other.use(8, 6);
    for (let key = 0; key < 100; key++) other.use(100_000 + key * 7919, 1);
    await Promise.all([one.memory.save(), other.memory.save()]);
    const third = begin(folder, 'third');
    await third.memory.load();
    expect([third.uses.frequency(7), third.uses.frequency(8)]).toEqual([9, 6]);
    third.use(9, 100);
    await third.memory.save();
    expect(filesOf(folder)).toEqual(['one', 'other', 'third']);
  });

  it('is added to what is counted while it is being read', async () => {
    const folder = tempFolder();
    const first = begin(folder, 'first', 1 << 15);
    first.use(7, 9);
    for (let key = 0; key < 1000; key++) first.use(100_000 + key * 7919, 1);
    await end(folder, 'first', first);
    const second = begin(folder, 'second');
    const loading = second.memory.load();
    second.use(7, 1);
    await loading;
    expect(second.uses.frequency(7)).toBe(9);
    expect(second.uses.sketch.entries).toBe(1 << 15);
  });

  it('is not written where nothing was used', async () => {
    const folder = tempFolder();
    const idle = begin(folder, 'idle');
    await end(folder, 'idle', idle);
    expect(filesOf(folder)).toEqual([]);
  });

  it.each([
    ['damaged', (file: Buffer) => void file.fill(0, 100, 110)],
    ['cut short', (file: Buffer) => file.subarray(0, 150)],
    ['empty', () => Buffer.alloc(0)],
    ['something else', () => Buffer.from('rubbish')],
  ])('is of no use in a file that is %s, which is removed', async (_, harm) => {
    const folder = tempFolder();
    const first = begin(folder, 'first');
    for (let key = 0; key < 100; key++) first.use(key * 7919, 5);
    await end(folder, 'first', first);
    const path = join(folder, 'uses', 'first');
    const file = readFileSync(path);
    writeFileSync(path, harm(file) ?? file);
    const second = begin(folder, 'second');
    await second.memory.load();
    expect(second.uses.frequency(7919)).toBe(0);
    expect(filesOf(folder)).toEqual([]);
  });

  it('in a file of another version is left alone, until there are too many of processes that have ended', async () => {
    const folder = tempFolder();
    mkdirSync(join(folder, 'uses'));
    for (let i = 0; i < 7; i++) {
      const path = join(folder, 'uses', `old-${i}`);
      writeFileSync(path, 'cistern-uses 2 whatever\n');
      utimesSync(path, 1000 + i, 1000 + i);
    }
    const process = begin(folder, 'new');
    await process.memory.load();
    expect(filesOf(folder)).toHaveLength(7);
    process.use(7, 100);
    await process.memory.save();
    expect(filesOf(folder)).toEqual(['new', 'old-3', 'old-4', 'old-5', 'old-6']);
  });
});

describe('a file of uses', () => {
  it('gives back the sketch, when it was to be aged next included', async () => {
    const sketch = new FrequencySketch(100);
    for (let key = 0; key < 50; key++) for (let i = 0; i <= key % 15; i++) sketch.increment(key * 7919);
    const found = await decodeUses(await encodeUses(sketch));
    if (!(found instanceof FrequencySketch)) throw new Error('it is none');
    expect([found.entries, found.uses]).toEqual([sketch.entries, sketch.uses]);
    expect(found.words).toEqual(sketch.words);
  });

  it('says that it is of another version', async () => {
    const file = await encodeUses(new FrequencySketch(100));
    expect(await decodeUses(Buffer.from(file.toString('latin1').replace('uses 1 ', 'uses 2 '), 'latin1'))).toBe(
      'other',
    );
  });
});
