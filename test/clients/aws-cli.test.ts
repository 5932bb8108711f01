import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith, requireTool } from '../tools/index.ts';
import { aws, awsOptions } from './aws.ts';
import { putFile, sampleBytes, sha256, sha256OfFile, treeOf } from './files.ts';
import { BUCKET, describeWays, WAYS } from './places.ts';
import { run, succeed } from './run.ts';

const MINUTES = 120_000;

describeWith(['aws', 'curl'], 'the AWS CLI', () => {
  describeWays(WAYS, place => {
    const cached = place.way.reach !== 'directly';
    const at = (name: string) => join(place.folder, name);
    const url = (key: string) => `s3://${BUCKET}/${key}`;

    it('copies an object up, down twice, a range of it, lists and deletes it', {
      timeout: MINUTES,
    }, async () => {
      const bytes = sampleBytes(1_000_003, 1);
      await putFile(at('up'), bytes);
      await aws(place, 's3', 'cp', 'up', url('dir/a ü+b.bin'));
      for (const down of ['down-1', 'down-2']) {
        const copied = () => aws(place, 's3', 'cp', url('dir/a ü+b.bin'), down);
        expect(await place.bytes(copied)).toBe(cached ? 0 : bytes.length);
      }
      expect([await sha256OfFile(at('down-1')), await sha256OfFile(at('down-2'))]).toEqual([
        sha256(bytes),
        sha256(bytes),
      ]);

      const ranged = ['--bucket', BUCKET, '--key', 'dir/a ü+b.bin', '--range', 'bytes=500000-599999', 'ranged'];
      expect(await place.bodies(() => aws(place, 's3api', 'get-object', ...ranged))).toBe(cached ? 0 : 1);
      expect((await readFile(at('ranged'))).equals(bytes.subarray(500_000, 600_000))).toBe(true);

      expect(await aws(place, 's3', 'ls', url('dir/'))).toContain('1000003 a ü+b.bin');
      await aws(place, 's3', 'rm', url('dir/a ü+b.bin'));
      const gone = await run(requireTool('aws'), ['s3', 'cp', url('dir/a ü+b.bin'), 'down-3'], await awsOptions(place));
      expect(gone.code).toBe(1);
      expect(gone.stderr).toContain('404');
    });

    it('moves an object of several parts up and down twice', {
      timeout: MINUTES,
    }, async () => {
      const bytes = sampleBytes(24 * 2 ** 20, 2);
      await putFile(at('large'), bytes);
      await aws(place, 's3', 'cp', 'large', url('large.bin'));
      expect(place.origin.object(BUCKET, 'large.bin')!.parts).toHaveLength(3);
      for (const down of ['large-1', 'large-2']) {
        const copied = () => aws(place, 's3', 'cp', url('large.bin'), down);
        expect(await place.bytes(copied)).toBe(cached ? 0 : bytes.length);
      }
      expect([await sha256OfFile(at('large-1')), await sha256OfFile(at('large-2'))]).toEqual([
        sha256(bytes),
        sha256(bytes),
      ]);
    });

    it('syncs 300 files up and down twice', { timeout: MINUTES }, async () => {
      let length = 0;
      for (let i = 0; i < 300; i++) {
        await putFile(at(`tree/${i % 7}/file ${i}.txt`), sampleBytes(10 + i * 37, i));
        length += 10 + i * 37;
      }
      await aws(place, 's3', 'sync', 'tree', url('tree'));
      // What was uploaded is there: S3 is asked for one byte of each, and its headers.
      const first = await place.bytes(() => aws(place, 's3', 'sync', url('tree'), 'tree-1'));
      expect(first).toBe(cached ? 300 : length);
      expect(await place.bodies(() => aws(place, 's3', 'sync', url('tree'), 'tree-2'))).toBe(cached ? 0 : 300);
      const tree = await treeOf(at('tree'));
      expect(Object.keys(tree)).toHaveLength(300);
      expect(await treeOf(at('tree-1'))).toEqual(tree);
      expect(await treeOf(at('tree-2'))).toEqual(tree);
    });

    it('presigns a URL that curl can read', { timeout: MINUTES }, async () => {
      place.origin.put(BUCKET, 'signed.txt', 'by a presigned URL');
      const signed = (await aws(place, 's3', 'presign', url('signed.txt'))).trim();
      const read = () =>
        succeed(requireTool('curl'), ['-q', '-sSf', signed], { env: place.proxyVariables, cwd: place.folder });
      expect(await read()).toBe('by a presigned URL');
      expect(await place.bodies(read)).toBe(cached ? 0 : 1);
    });
  });
});
