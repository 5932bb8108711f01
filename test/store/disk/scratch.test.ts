import { existsSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { Scratch } from '../../../proxy-core/store/disk/scratch.ts';
import { Volume } from '../../../proxy-core/store/disk/volume.ts';
import { tempFolder } from '../helpers.ts';

const MODES = { file: 0o600, folder: 0o700 };

/** Beside another process, which removes new folders as they are empty, before anything is in them. */
class ContestedVolume extends Volume {
  left: number;

  constructor(times: number) {
    super({ deadline: 5000 });
    this.left = times;
  }

  override async mkdir(path: string, mode: number): Promise<number> {
    const made = await super.mkdir(path, mode);
    if (path.includes('buckets') && this.left-- > 0) {
      rmdirSync(path);
      rmdirSync(dirname(path));
    }
    return made;
  }
}

function scratchOn(cacheDir: string, volume: Volume): Scratch {
  return new Scratch({ volume, cacheDir, instance: () => '1', modes: MODES, onBytes: () => {} });
}

it('makes a folder again that another process has removed before a file was in it', async () => {
  const cacheDir = tempFolder();
  const folder = join(cacheDir, 'buckets', 'aa', 'bbb');
  const path = join(folder, 'x.head');
  await scratchOn(cacheDir, new ContestedVolume(3)).publish(path, folder, Buffer.from('x'));
  expect(readFileSync(path, 'utf8')).toBe('x');
});

it('gives up where that does not end', async () => {
  const cacheDir = tempFolder();
  const folder = join(cacheDir, 'buckets', 'aa', 'bbb');
  const path = join(folder, 'x.head');
  const scratch = scratchOn(cacheDir, new ContestedVolume(100));
  await expect(scratch.publish(path, folder, Buffer.from('x'))).rejects.toMatchObject({ code: 'ENOENT' });
  expect(existsSync(path)).toBe(false);
});

it('ends where the volume does not let its half-written files be removed', () => {
  const cacheDir = tempFolder();
  writeFileSync(join(cacheDir, 'tmp'), 'in the way');
  const scratch = scratchOn(cacheDir, new Volume({ deadline: 5000 }));
  expect(() => rmSync(scratch.folder, { recursive: true, force: true })).toThrow('ENOTDIR');
  scratch.clear();
  expect(readFileSync(join(cacheDir, 'tmp'), 'utf8')).toBe('in the way');
});
