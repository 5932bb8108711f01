import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith } from '../tools/index.ts';
import { aws } from './aws.ts';
import { putFile, sampleBytes, treeOf } from './files.ts';
import { BUCKET, BY_NAME, BY_PATH_TTL_0 } from './places.ts';
import { describeWrites } from './written.ts';

const MINUTES = 120_000;
/** What S3 copies passes nobody: it is fetched when it is read. */
const COPIED = Number.POSITIVE_INFINITY;

describeWith('aws', 'uploads by the AWS CLI', () => {
  describeWrites(
    place => {
      const at = (name: string) => join(place.folder, name);
      const url = (key: string) => `s3://${BUCKET}/${key}`;

      it('are kept, small and in parts; what is moved is gone from its old place and true in its new one', {
        timeout: MINUTES,
      }, async () => {
        await putFile(at('small.csv'), sampleBytes(70_001, 1));
        const about = [
          '--metadata',
          'who=aws,when=a b',
          '--content-disposition',
          'inline',
          '--cache-control',
          'no-store',
        ];
        await aws(place, 's3', 'cp', 'small.csv', url('a ü/small.csv'), ...about);
        await place.expectAsDirectly('a ü/small.csv', { first: 'checksums' });

        await putFile(at('parts.txt'), sampleBytes(9 * 2 ** 20 + 1, 2));
        await aws(place, 's3', 'cp', 'parts.txt', url('parts'), '--metadata', 'in=parts');
        expect(place.origin.object(BUCKET, 'parts')!.parts).toHaveLength(2);
        await place.expectAsDirectly('parts', { parts: 2, first: 'range' });

        // A CopyObject and a DeleteObject; then, of the one in parts, UploadPartCopies.
        await aws(place, 's3', 'mv', url('a ü/small.csv'), url('moved.csv'));
        await place.expectGone('a ü/small.csv');
        await place.expectAsDirectly('moved.csv', { atMost: COPIED });
        await aws(place, 's3', 'mv', url('parts'), url('moved.csv'));
        await place.expectGone('parts');
        await place.expectAsDirectly('moved.csv', { parts: 2, atMost: COPIED });
      });

      it('of a tree are kept by sync, followed when it changes, and gone when it is removed', {
        timeout: MINUTES,
      }, async () => {
        const names = ['a.txt', 'b/c d.html', 'b/nothing', 'e.bin', 'f/g/h.json'];
        for (const [i, name] of names.entries()) await putFile(at(`tree/${name}`), sampleBytes(i * 30_011, i));
        await putFile(at('tree/b/nothing'), Buffer.alloc(0));
        await aws(place, 's3', 'sync', 'tree', url('tree'));
        expect(await place.bytes(() => aws(place, 's3', 'sync', url('tree'), 'back'))).toBeLessThanOrEqual(
          names.length,
        );
        expect(await treeOf(at('back'))).toEqual(await treeOf(at('tree')));
        for (const name of names) await place.expectAsDirectly(`tree/${name}`);

        await putFile(at('tree/a.txt'), sampleBytes(12_345, 10));
        await putFile(at('tree/e.bin'), sampleBytes(123_456, 11));
        await rm(at('tree/b'), { recursive: true });
        await aws(place, 's3', 'sync', '--delete', 'tree', url('tree'));
        for (const name of ['a.txt', 'e.bin', 'f/g/h.json']) await place.expectAsDirectly(`tree/${name}`);
        await place.expectGone('tree/b/c d.html', 'tree/b/nothing');

        await aws(place, 's3', 'rm', '--recursive', url('tree'));
        await place.expectGone(...['a.txt', 'e.bin', 'f/g/h.json'].map(name => `tree/${name}`));
      });
    },
    [BY_NAME, BY_PATH_TTL_0],
  );
});
