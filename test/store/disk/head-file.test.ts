import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeHead,
  decodePart,
  encodeHead,
  encodePart,
  encodeStamp,
  STAMP_BYTES,
} from '../../../proxy-core/store/disk/head-file.ts';
import { versionId } from '../../../proxy-core/store/disk/paths.ts';
import type { Head, Part, Stamp } from '../../../proxy-core/store/head.ts';

const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code)) });
const epoch = fc.oneof(
  fc.constant(''),
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 }),
);
const stamp: fc.Arbitrary<Stamp> = fc.record({ validatedAt: fc.nat(2 ** 45), epoch });
const head: fc.Arbitrary<Head> = fc
  .record({
    etag: bytes.map(text => `"${text}"`),
    length: fc.nat(2 ** 42),
    headers: fc.array(bytes, { maxLength: 8 }),
    lastModified: fc.option(fc.nat(2 ** 41), { nil: undefined }),
    checksumsKnown: fc.boolean(),
    written: fc.option(fc.nat(2 ** 41), { nil: undefined }),
    begun: fc.option(fc.nat(2 ** 41), { nil: undefined }),
  })
  .map(facts => ({ ...facts, version: versionId(facts.etag, facts.length) }));

const UTF8 = Buffer.from('schlüssel/日本', 'utf8').toString('latin1');
const KEY = `aws\0data\0${UTF8}`;
const HEAD: Head = {
  etag: '"d41d8"',
  length: 5,
  version: versionId('"d41d8"', 5),
  headers: ['x-amz-meta-name', UTF8, 'ETag', '"d41d8"', 'X-Twice', '1', 'X-Twice', '2', 'X-Odd', 'tab\tand "quote"\\'],
  lastModified: 1_700_000_000_000,
  checksumsKnown: true,
};
const STAMP: Stamp = { validatedAt: 1_763_800_000_123, epoch: '0123456789abcdef'.repeat(2) };
const BODY = Buffer.from('\nbody');

describe('a head file', () => {
  it('gives back any head and stamp, every byte of key and headers as it was', () => {
    fc.assert(
      fc.property(bytes, head, stamp, fc.uint8Array(), (key, known, when, body) => {
        const file = Buffer.concat([encodeHead(key, known, when), body]);
        const found = decodeHead(key, file);
        expect(found?.head).toEqual(known);
        expect(found?.stamp).toEqual(known.written === undefined ? when : { validatedAt: 0, epoch: '' });
        expect(file.subarray(found?.bodyAt).equals(body)).toBe(true);
      }),
    );
  });

  it('that a write told is not vouched for by a stamp that was meant for the head in its place', () => {
    const file = encodeHead(KEY, { ...HEAD, written: 1 }, { validatedAt: 0, epoch: '' });
    file.write(encodeStamp(STAMP, HEAD.version), 0, 'latin1');
    expect(decodeHead(KEY, file)).toMatchObject({ head: { written: 1 }, stamp: { validatedAt: 0, epoch: '' } });
  });

  it('is stale or a miss, never another head, whichever byte of it is flipped', () => {
    const file = Buffer.concat([encodeHead(KEY, HEAD, STAMP), BODY]);
    const end = file.length - BODY.length;
    for (let at = 0; at < end; at++) {
      for (const flip of [0x01, 0x20, 0x80, 0xff]) {
        const damaged = Buffer.from(file);
        damaged[at]! ^= flip;
        const found = attempt(() => decodeHead(KEY, damaged));
        if (at < STAMP_BYTES)
          expect(found).toMatchObject({ head: HEAD, stamp: { validatedAt: 0, epoch: '!' }, bodyAt: end });
        else expect(found, `byte ${at}`).toBeUndefined();
      }
    }
  });

  it('is a miss, wherever it ends before its body', () => {
    const file = encodeHead(KEY, HEAD, STAMP);
    for (let length = 0; length < file.length; length++)
      expect(attempt(() => decodeHead(KEY, file.subarray(0, length)))).toBeUndefined();
  });

  it('of another object is a miss', () => {
    expect(decodeHead(`${KEY}x`, encodeHead(KEY, HEAD, STAMP))).toBeUndefined();
  });
});

describe('a stamp', () => {
  it('has one length, so that it can be overwritten in place', () => {
    fc.assert(
      fc.property(stamp, stamp, (first, second) => {
        const file = encodeHead(KEY, HEAD, first);
        const written = encodeStamp(second, HEAD.version);
        expect(written).toHaveLength(STAMP_BYTES);
        file.write(written, 0, 'latin1');
        expect(decodeHead(KEY, file)?.stamp).toEqual(second);
      }),
    );
  });

  it('of another version, written over this one’s, makes it stale', () => {
    const file = encodeHead(KEY, HEAD, STAMP);
    file.write(encodeStamp({ ...STAMP, validatedAt: STAMP.validatedAt + 1 }, versionId('"other"', 5)), 0, 'latin1');
    expect(decodeHead(KEY, file)).toMatchObject({ head: HEAD, stamp: { validatedAt: 0, epoch: '!' } });
  });

  it('half overwritten is stale', () => {
    const file = encodeHead(KEY, HEAD, STAMP);
    const other = encodeStamp({ validatedAt: STAMP.validatedAt + 987_654_321, epoch: 'f'.repeat(32) }, HEAD.version);
    for (let length = 33; length < STAMP_BYTES - 1; length++) {
      const torn = Buffer.from(file);
      torn.write(other.slice(0, length), 0, 'latin1');
      expect(decodeHead(KEY, torn)?.stamp).toEqual({ validatedAt: 0, epoch: '!' });
    }
  });
});

describe('a part file', () => {
  const part: Part = {
    start: 8 << 20,
    end: (13 << 20) - 1,
    headers: ['x-amz-mp-parts-count', '3'],
    checksumsKnown: true,
    lastModified: 1_700_000_000_000,
    written: 1_700_000_001_000,
    begun: 1_700_000_000_000,
    s3Version: 'one',
  };

  it('comes back as it was written', () => {
    expect(decodePart(KEY, HEAD.version, 2, encodePart(KEY, HEAD.version, 2, part))).toEqual(part);
  });

  it('is a miss, whichever byte is flipped and wherever it ends', () => {
    const file = encodePart(KEY, HEAD.version, 2, part);
    for (let at = 0; at < file.length; at++) {
      const damaged = Buffer.from(file);
      damaged[at]! ^= 1;
      expect(
        attempt(() => decodePart(KEY, HEAD.version, 2, damaged)),
        `byte ${at}`,
      ).toBeUndefined();
      expect(attempt(() => decodePart(KEY, HEAD.version, 2, file.subarray(0, at)))).toBeUndefined();
    }
  });

  it('of another object, version or number is a miss', () => {
    const file = encodePart(KEY, HEAD.version, 2, part);
    expect(decodePart('other', HEAD.version, 2, file)).toBeUndefined();
    expect(decodePart(KEY, 'other', 2, file)).toBeUndefined();
    expect(decodePart(KEY, HEAD.version, 3, file)).toBeUndefined();
  });
});

/** What the catalog makes of an error: a miss. */
function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
