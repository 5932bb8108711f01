import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith } from '../tools/index.ts';
import { putFile, sampleBytes, treeOf } from './files.ts';
import { BUCKET, BY_NAME, BY_NAME_TTL_0 } from './places.ts';
import { rclone } from './rclone.ts';
import { describeWrites } from './written.ts';

const MINUTES = 120_000;
const PARTS = ['--s3-upload-cutoff', '5M', '--s3-chunk-size', '5M', '--s3-upload-concurrency', '3'];

describeWith('rclone', 'uploads by rclone', () => {
  // Go programs send no loopback address to a proxy.
  describeWrites(
    place => {
      const at = (name: string) => join(place.folder, name);
      const remote = (path: string) => `:s3:${BUCKET}/${path}`;

      it('are kept by copy, followed by sync and moveto, and gone by delete', { timeout: MINUTES }, async () => {
        const names = ['ü x.txt', 'sub/nothing', 'sub/b.bin'];
        for (const [i, name] of names.entries()) await putFile(at(`tree/${name}`), sampleBytes(i * 50_021 + 5, i));
        await putFile(at('tree/sub/nothing'), Buffer.alloc(0));
        await putFile(at('tree/parts.bin'), sampleBytes(5 * 2 ** 20 + 77_777, 9));
        await rclone(place, 'copy', ...PARTS, 'tree', remote('tree'));
        expect(place.origin.object(BUCKET, 'tree/parts.bin')!.parts).toHaveLength(2);
        // One byte of each that has any, at most.
        const back = await place.bytes(() => rclone(place, 'copy', remote('tree'), 'back'));
        expect(back).toBeLessThanOrEqual(3);
        expect(await treeOf(at('back'))).toEqual(await treeOf(at('tree')));
        for (const name of names) await place.expectAsDirectly(`tree/${name}`);
        // rclone leaves checksums to S3, which then makes one of the whole: those of the parts only S3 knows.
        await place.expectAsDirectly('tree/parts.bin', { parts: 2, atMost: 5 * 2 ** 20 + 77_777 + 2 });

        await putFile(at('tree/sub/b.bin'), sampleBytes(33_333, 20));
        await rm(at('tree/ü x.txt'));
        await rclone(place, 'sync', ...PARTS, 'tree', remote('tree'));
        await place.expectAsDirectly('tree/sub/b.bin');
        await place.expectGone('tree/ü x.txt');

        // A CopyObject and a DeleteObject.
        await rclone(place, 'moveto', remote('tree/sub/b.bin'), remote('tree/moved.bin'));
        await place.expectGone('tree/sub/b.bin');
        await place.expectAsDirectly('tree/moved.bin', { atMost: Number.POSITIVE_INFINITY });

        await rclone(place, 'delete', remote('tree'));
        await place.expectGone('tree/moved.bin', 'tree/parts.bin', 'tree/sub/nothing');
      });
    },
    [BY_NAME, BY_NAME_TTL_0],
  );
});
