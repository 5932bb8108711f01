import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble, type FoundPart, tableOf } from '../../proxy-core/store/uploads/multipart-assembly.ts';
import {
  contentName,
  decodeCreated,
  decodeRecord,
  encodeCreated,
  encodeRecord,
  partOfRecord,
  recordName,
  uploadHash,
} from '../../proxy-core/store/uploads/multipart-files.ts';
import { decodeParts, encodeParts, partOf } from '../../proxy-core/store/uploads/parts-file.ts';
import { address, headOf } from './helpers.ts';

const MIB = 1 << 20;

/** A part whose content lies in files of at most 8 MiB, as an upload's copy writes it. */
function found(number: number, length: number, etag = `"${number}"`, random = 'a'): FoundPart {
  const files = [];
  for (let at = 0; at < length; at += 8 * MIB) {
    const end = Math.min(at + 8 * MIB, length) - 1;
    files.push({ span: { start: at, end }, size: end - at + 100 });
  }
  return { number, length, etag, checksums: [], files, name: `${number}-${random}` };
}

const named = (parts: readonly FoundPart[]) => parts.map(({ number, etag }) => ({ number, etag }));

describe('what Complete names', () => {
  it('lies part behind part, in files that say where in the object they belong', () => {
    const parts = [found(1, 9 * MIB), found(2, 5 * MIB + 1), found(3, 0)];
    const assembly = assemble(named(parts), parts);
    expect(assembly?.length).toBe(14 * MIB + 1);
    expect(assembly?.files).toEqual([
      {
        name: `1-a.0-${8 * MIB - 1}`,
        from: { start: 0, end: 8 * MIB - 1 },
        to: { start: 0, end: 8 * MIB - 1 },
        size: 8 * MIB + 99,
      },
      {
        name: `1-a.${8 * MIB}-${9 * MIB - 1}`,
        from: { start: 8 * MIB, end: 9 * MIB - 1 },
        to: { start: 8 * MIB, end: 9 * MIB - 1 },
        size: MIB + 99,
      },
      {
        name: `2-a.0-${5 * MIB}`,
        from: { start: 0, end: 5 * MIB },
        to: { start: 9 * MIB, end: 14 * MIB },
        size: 5 * MIB + 100,
      },
    ]);
  });

  it('covers the object without gap or overlap, whatever the sizes of the parts', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 40 * MIB }), { minLength: 1, maxLength: 30 }), lengths => {
        const parts = lengths.map((length, i) => found(i + 1, length));
        const assembly = assemble(named(parts), [...parts].reverse());
        let next = 0;
        for (const { to, from } of assembly?.files ?? []) {
          expect(to.start).toBe(next);
          expect(to.end - to.start).toBe(from.end - from.start);
          next = to.end + 1;
        }
        expect(next).toBe(lengths.reduce((sum, length) => sum + length, 0));
        expect(assembly?.length).toBe(next);
      }),
    );
  });

  it('is, of a part that came more than once, the one whose ETag it gives, quotes or not', () => {
    const parts = [found(1, 10, '"old"', 'a'), found(1, 20, '"new"', 'b'), found(2, 5)];
    expect(
      assemble(
        [
          { number: 1, etag: 'new' },
          { number: 2, etag: '"2"' },
        ],
        parts,
      )?.length,
    ).toBe(25);
    expect(assemble([{ number: 1, etag: '"old"' }], parts)?.length).toBe(10);
  });

  it.each([
    ['a part that was not kept', [1, 3]],
    ['a part whose ETag is another', [1, 4]],
    ['parts out of order', [2, 1]],
    ['a part twice', [1, 1]],
    ['nothing', []],
  ])('makes nothing of %s', (_, numbers) => {
    const parts = [found(1, 10), found(2, 10), found(4, 10, '"other"')];
    const list = numbers.map(number => ({ number, etag: `"${number}"` }));
    expect(assemble(list, parts)).toBeUndefined();
  });

  it('makes nothing of a part whose files are not its whole content', () => {
    const whole = found(1, 20 * MIB);
    expect(assemble(named([whole]), [{ ...whole, files: whole.files.slice(1) }])).toBeUndefined();
    expect(assemble(named([whole]), [{ ...whole, files: whole.files.slice(0, 2) }])).toBeUndefined();
  });
});

describe('the table of parts', () => {
  const parts = [found(1, 10), found(2, 0), found(3, 5)].map(part => ({
    ...part,
    checksums: ['x-amz-checksum-crc32', `sum${part.number}`],
  }));
  const table = (etag: string, headers: string[] = [], of: readonly FoundPart[] = parts) => {
    const assembly = assemble(named(of), of);
    return assembly && tableOf(assembly, headOf(assembly.length, etag, headers));
  };

  it('tells each part, its place and the count; not an empty one, about which S3 has its own words', () => {
    const known = table('"abc-3"');
    expect(known && partOf(known, 1)).toEqual({
      start: 0,
      end: 9,
      headers: ['x-amz-mp-parts-count', '3'],
      checksumsKnown: false,
    });
    expect(known && partOf(known, 2)).toBeUndefined();
    expect(known && partOf(known, 3)).toMatchObject({ start: 10, end: 14 });
    expect(known && partOf(known, 4)).toBeUndefined();
  });

  it('tells the checksums where the object’s own is made of them', () => {
    const known = table('"abc-3"', ['x-amz-checksum-type', 'COMPOSITE']);
    expect(known && partOf(known, 3)).toEqual({
      start: 10,
      end: 14,
      headers: ['x-amz-mp-parts-count', '3', 'x-amz-checksum-crc32', 'sum3', 'x-amz-checksum-type', 'COMPOSITE'],
      checksumsKnown: true,
    });
  });

  it('leaves them to S3 where the object has one of the whole', () => {
    const known = table('"abc-3"', ['x-amz-checksum-type', 'FULL_OBJECT']);
    expect(known && partOf(known, 1)).toMatchObject({ checksumsKnown: false });
  });

  it('is none where numbers were left out, or where the ETag does not tell the count', () => {
    expect(table('"abc-2"', [], [found(1, 10), found(3, 10)])).toBeUndefined();
    expect(table('"abc"')).toBeUndefined();
    expect(table('"abc-13"')).toBeUndefined();
  });

  it('comes back from its file, for its own object and version only, and not when a byte of it has changed', () => {
    const known = table('"abc-3"', ['x-amz-checksum-type', 'COMPOSITE']);
    if (!known) throw new Error('no table');
    const head = headOf(15, '"abc-3"');
    const file = encodeParts('key', head.version, known);
    expect(decodeParts('key', head, file)).toEqual(known);
    expect(decodeParts('other', head, file)).toBeUndefined();
    expect(decodeParts('key', headOf(15, '"abd-3"'), file)).toBeUndefined();
    expect(decodeParts('key', { ...head, length: 16 }, file)).toBeUndefined();
    const bare = { ends: known.ends, checksums: undefined, lastModified: 1_700_000_000_000, written: undefined };
    expect(decodeParts('key', head, encodeParts('key', head.version, bare))).toEqual(bare);
    const told = { ...bare, lastModified: undefined, written: 2000, begun: 1000, s3Version: 'one' };
    expect(decodeParts('key', head, encodeParts('key', head.version, told))).toEqual(told);
    for (let at = 0; at < file.length; at++) {
      const damaged = Buffer.from(file);
      damaged[at] = damaged[at]! ^ 1;
      expect(decodeParts('key', head, damaged)).toBeUndefined();
    }
  });
});

describe('files of the staging folder', () => {
  it('has a name that is a hash, whatever bytes the upload id has', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', '..', '../../x', '/', 'a/b', '\0')),
        id => {
          expect(uploadHash(address('key'), id)).toMatch(/^[0-9a-f]{64}$/);
        },
      ),
    );
  });

  it('is another one for another object or upload', () => {
    const hashes = [
      uploadHash(address('key'), 'id'),
      uploadHash(address('key'), 'id2'),
      uploadHash(address('key2'), 'id'),
      uploadHash(address('key', 'other'), 'id'),
    ];
    expect(new Set(hashes).size).toBe(4);
  });

  it('knows records from all other files', () => {
    expect(partOfRecord(recordName('17-0a'))).toEqual({ part: '17-0a', number: 17 });
    for (const name of ['create.json', contentName('17-0a', { start: 0, end: 9 }), '17-0a', '17.json', '../17-0a.json'])
      expect(partOfRecord(name)).toBeUndefined();
  });

  it('gives back what was written for the same upload or object, and nothing else', () => {
    const { name: _, ...part } = found(3, 20 * MIB);
    const record = encodeRecord('upload', part);
    expect(decodeRecord('upload', record)).toEqual(part);
    expect(decodeRecord('other', record)).toBeUndefined();
    expect(decodeRecord('upload', record.subarray(0, -2))).toBeUndefined();
    const created = { headers: ['Content-Type', 'text/plain', 'x-amz-meta-name', 'caf\xe9'], unknowable: true };
    const file = encodeCreated('key', created);
    expect(decodeCreated('key', file)).toEqual(created);
    expect(decodeCreated('other', file)).toBeUndefined();
    expect(decodeCreated('key', file.subarray(1))).toBeUndefined();
  });
});
