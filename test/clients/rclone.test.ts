import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith, requireTool } from '../tools/index.ts';
import { putFile, sampleBytes, treeOf } from './files.ts';
import { BUCKET, describeWays, WAYS } from './places.ts';
import { rclone, rcloneOptions } from './rclone.ts';
import { succeed } from './run.ts';

const MINUTES = 120_000;

describeWith('rclone', 'rclone', () => {
  describeWays(WAYS, place => {
    const cached = place.way.reach !== 'directly';
    const at = (name: string) => join(place.folder, name);
    const remote = (path: string) => `:s3:${BUCKET}/${path}`;

    it('copies a tree up and down twice, reads a range, lists and deletes', { timeout: MINUTES }, async () => {
      for (let i = 0; i < 20; i++) await putFile(at(`tree/${i % 3}/ü file ${i}`), sampleBytes(1000 + i * 997, i));
      await putFile(at('tree/several parts.bin'), sampleBytes(12 * 2 ** 20, 99));
      await rclone(place, 'copy', '--s3-upload-cutoff', '5M', '--s3-chunk-size', '5M', 'tree', remote('tree'));
      expect(place.origin.object(BUCKET, 'tree/several parts.bin')!.parts).toHaveLength(3);

      // rclone has asked for the head of each upload: nothing of them is missing.
      for (const down of ['tree-1', 'tree-2']) {
        const moved = await place.bytes(() => rclone(place, 'copy', remote('tree'), down));
        if (cached) expect(moved).toBe(0);
        else expect(moved).toBeGreaterThan(12 * 2 ** 20);
      }
      const tree = await treeOf(at('tree'));
      expect(await treeOf(at('tree-1'))).toEqual(tree);
      expect(await treeOf(at('tree-2'))).toEqual(tree);
      await rclone(place, 'check', '--download', remote('tree'), 'tree');

      const ranged = async () => {
        const cat = ['cat', '--offset', '5000000', '--count', '1000', remote('tree/several parts.bin')];
        const raw = { env: place.proxyVariables, cwd: place.folder, encoding: 'latin1' } as const;
        const got = await succeed(requireTool('rclone'), [...rcloneOptions(place), ...cat], raw);
        expect(Buffer.from(got, 'latin1').equals(sampleBytes(12 * 2 ** 20, 99).subarray(5_000_000, 5_001_000))).toBe(
          true,
        );
      };
      expect(await place.bodies(ranged)).toBe(cached ? 0 : 1);

      expect((await rclone(place, 'lsf', '-R', '--files-only', remote('tree'))).trim().split('\n').sort()).toEqual(
        Object.keys(tree).sort(),
      );
      await rclone(place, 'purge', remote('tree'));
      expect(place.origin.object(BUCKET, 'tree/several parts.bin')).toBeUndefined();
      expect(await rclone(place, 'lsf', '-R', remote('tree'))).toBe('');
      expect(await rclone(place, 'cat', remote('tree/several parts.bin'))).toBe('');
    });
  });
});
