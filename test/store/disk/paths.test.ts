import { isAbsolute, normalize, resolve, sep } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketFolder, ObjectPaths, objectHash, parseSpan, versionId } from '../../../proxy-core/store/disk/paths.ts';
import { address } from '../helpers.ts';

const name = fc.oneof(
  fc.string({ maxLength: 300 }),
  fc.string({ unit: fc.constantFrom(...'./\\@%:~aA-_é\0 '), maxLength: 12 }),
  fc.constantFrom(
    '.',
    '..',
    '...',
    '../..',
    'a/../b',
    'con',
    'nul.txt',
    'lpt1.',
    'a.',
    'a..',
    '@aws',
    'data@aws',
    '%2e',
    'a'.repeat(1000),
  ),
);

describe('the folder of a bucket', () => {
  it('is the bucket’s name on AWS, and says the origin elsewhere', () => {
    expect(bucketFolder('aws', 'my-bucket.data')).toBe('my-bucket.data');
    expect(bucketFolder('aws-cn', 'data')).toBe('data@aws-cn');
    expect(bucketFolder('minio.lab:9000', 'data')).toBe('data@minio.lab%3a9000');
  });

  it('is one short name that no file system refuses or takes for another folder', () => {
    fc.assert(
      fc.property(name, name, (origin, bucket) => {
        const folder = bucketFolder(origin, bucket);
        expect(folder).toMatch(/^[a-z0-9%@.-]+$|^$/);
        expect(folder).not.toMatch(/^\.|^_|\.$/);
        expect(folder).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i);
        expect(folder.length).toBeLessThanOrEqual(255);
        expect(resolve('/cache', folder).startsWith(`/cache${folder === '' ? '' : sep}`)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('differs for any two buckets, also where the file system ignores case', () => {
    fc.assert(
      fc.property(name, name, name, name, (origin, bucket, otherOrigin, otherBucket) => {
        fc.pre(origin !== otherOrigin || bucket !== otherBucket);
        expect(bucketFolder(origin, bucket).toLowerCase()).not.toBe(
          bucketFolder(otherOrigin, otherBucket).toLowerCase(),
        );
      }),
      { numRuns: 500 },
    );
    const alike = [
      'Data',
      'data',
      'dAta',
      '%44ata',
      'data@aws',
      'data@',
      '.data',
      '%2edata',
      'data.',
      'data..',
      'nul',
      '%6eul',
      `${'x'.repeat(200)}a`,
      `${'x'.repeat(200)}b`,
    ];
    expect(new Set(alike.flatMap(bucket => ['aws', 'host'].map(origin => bucketFolder(origin, bucket)))).size).toBe(
      2 * alike.length,
    );
  });
});

describe('the paths of an object', () => {
  it('lie in its bucket’s folder, and no key can lead out of it or be read from them', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 8 }), key => {
        const object = address(`../${key}`);
        const paths = new ObjectPaths('/cache', object, objectHash(object));
        for (const path of [
          paths.head,
          paths.epoch,
          paths.extent(versionId('"e"', 9), 9, { start: 0, end: 8 }),
          paths.extent(versionId('"e"', 2 ** 40), 2 ** 40, { start: 2 ** 31, end: 2 ** 31 + 5 }),
          paths.part(versionId('"e"', 9), 9, 1),
          paths.part(versionId('"e"', 2 ** 40), 2 ** 40, 10_000),
        ]) {
          expect(isAbsolute(path) && normalize(path) === path).toBe(true);
          expect(path).toMatch(/^\/cache\/buckets\/data\/[0-9a-f]{2}\/[0-9a-f]{3}\/[0-9a-f]{64}\.[0-9a-z./-]+$/);
        }
      }),
    );
  });

  it('are those of one object only', () => {
    const objects = [address('a'), address('A'), address('a/'), address('a', 'b'), address('a', 'data', 'aws-cn')];
    expect(new Set(objects.map(objectHash)).size).toBe(objects.length);
  });

  it('say the span of an extent, which is read back from its name', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), fc.nat(2 ** 23), (start, length) => {
        const object = address('key');
        const paths = new ObjectPaths('/cache', object, objectHash(object));
        const span = { start, end: start + length };
        for (const size of [1000, 2 ** 41]) {
          const version = versionId('"e"', size);
          const { folder, prefix } = paths.extents(version, size, Math.floor(start / 2 ** 30));
          const path = paths.extent(version, size, span);
          expect(path.startsWith(`${folder}/${prefix}`)).toBe(true);
          expect(parseSpan(path.slice(folder.length + 1 + prefix.length))).toEqual(span);
        }
      }),
    );
  });

  it.each(['', '-', '1-', '-1', '2-1', '1-2-3', ' 1-2', '1-2 ', '1e3-2e3', '0x1-0x2', 'part-1', '9999999999999999-1'])(
    'no span is read from %j',
    text => {
      expect(parseSpan(text)).toBeUndefined();
    },
  );
});
