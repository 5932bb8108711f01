import fc from 'fast-check';
import type { Thing, Via } from './steps.ts';
import {
  type Copy,
  DESCRIPTIONS,
  type Form,
  type Multipart,
  PLAIN_WRITES,
  type Put,
  type Trouble,
  type UploadedPart,
  type Write,
} from './write-steps.ts';

const KIB = 1024;
const MIB = KIB * KIB;

const via = fc.constantFrom<Via>(0, 1);
const troubles = (...more: Trouble[]) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Trouble>('none') },
    {
      weight: 4,
      arbitrary: fc.constantFrom<Trouble>('late', 'untold', 'untold 500', 'refused early', 'leaves late', ...more),
    },
  );
const OF_BODIES: readonly Trouble[] = ['slow', 'waits', 'refused', 'busy', 'reset', 'lost', 'leaves', 'wrong sum'];
const OF_LONG_WORK: readonly Trouble[] = ['kept alive', 'kept alive, refused', 'kept alive, unclear'];
const FORMS: readonly Form[] = [
  ...(['plain', 'unsigned', 'expect', 'transfer', 'signed', 'signed-trailer', 'unsigned-trailer'] as const),
  ...(['trailer in transfer', 'presigned'] as const),
];
const common = {
  of: fc.constantFrom<Thing>('plain', 'guarded', 'open'),
  via,
  after: fc.constantFrom(0, 0, 1, 3, 10),
  at: fc.nat(10 * MIB),
};
const sizes = fc.constantFrom(
  ...[0, 1, 1000, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 300_000, 300_000, MIB + 1, 3 * MIB, 8 * MIB + 1],
);
const about = fc.nat(DESCRIPTIONS.length - 1);

const put: fc.Arbitrary<Put> = fc.record({
  ...common,
  do: fc.constant('put' as const),
  trouble: troubles(...OF_BODIES),
  size: sizes,
  content: fc.constantFrom('new', 'new', 'new', 'same'),
  form: fc.constantFrom(...FORMS),
  checksum: fc.constantFrom('none', 'none', 'crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'),
  about,
  condition: fc.constantFrom(
    ...(['none', 'none', 'none', 'none', 'if-none-match', 'if-match', 'if-match old'] as const),
  ),
});

const part = (size: fc.Arbitrary<number>): fc.Arbitrary<UploadedPart> =>
  fc.record({
    size,
    via,
    form: fc.constantFrom('plain', 'signed', 'unsigned-trailer', 'transfer'),
    copied: fc.constantFrom(...Array.from({ length: 7 }, () => false), true),
    twice: fc.constantFrom(false, false, false, false, true),
    trouble: fc.oneof(
      { weight: 8, arbitrary: fc.constant<Trouble>('none') },
      { weight: 2, arbitrary: fc.constantFrom<Trouble>('late', 'untold', 'busy', 'reset', 'lost', 'leaves', 'slow') },
    ),
  });
/** All but the last have at least 5 MiB, or S3 refuses to make them one. */
const inner = part(fc.constantFrom(...[0, 1, 12_345, 64 * KIB].map(more => 5 * MIB + more)));
const last = part(fc.constantFrom(1, 1000, 64 * KIB, 64 * KIB + 1, 300_000, 3 * MIB));
const parts = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(last) },
  { weight: 4, arbitrary: fc.tuple(inner, last) },
  { weight: 2, arbitrary: fc.tuple(inner, inner, last) },
  { weight: 1, arbitrary: fc.tuple(last, last) },
);

const multipart: fc.Arbitrary<Multipart> = fc.record({
  ...common,
  do: fc.constant('multipart' as const),
  trouble: troubles(...OF_LONG_WORK),
  createVia: via,
  parts,
  order: fc.constantFrom('ascending', 'descending', 'at once'),
  numbers: fc.constantFrom('each', 'each', 'each', 'even'),
  checksum: fc.constantFrom('none', 'none', 'crc32', 'crc32 whole', 'crc64nvme', 'sha256'),
  about,
  end: fc.constantFrom('complete', 'complete', 'complete', 'complete', 'complete', 'complete old', 'abort', 'abandon'),
});

const key = fc.constantFrom('plain' as const, 'guarded' as const);

/** By how much each comes about. */
export const WRITES: { readonly weight: number; readonly arbitrary: fc.Arbitrary<Write> }[] = [
  { weight: 9, arbitrary: put },
  {
    weight: 1,
    arbitrary: fc.record({ ...common, do: fc.constant('post form' as const), trouble: troubles(), size: sizes }),
  },
  { weight: 4, arbitrary: multipart },
  {
    weight: 2,
    arbitrary: fc.record({
      ...common,
      do: fc.constant('copy' as const),
      trouble: troubles(...OF_LONG_WORK),
      from: common.of,
      metadata: fc.constantFrom('copy', 'replace'),
      about,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...common,
      do: fc.constant('delete' as const),
      trouble: troubles(),
      version: fc.constantFrom('none', 'none', 'current', 'older'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      ...common,
      do: fc.constant('delete many' as const),
      of: fc.constant<Thing>('plain'),
      trouble: troubles(),
      quiet: fc.boolean(),
      keys: fc.uniqueArray(key, { minLength: 1 }),
      refused: fc.uniqueArray(key),
      code: fc.constantFrom('AccessDenied', 'InternalError'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ ...common, do: fc.constant('tag' as const), trouble: troubles(), tags: fc.nat(3) }),
  },
];

/** A write that nothing stands against, so that what is kept of it can be read. */
export const KEPT_WRITE: fc.Arbitrary<Put | Multipart> = fc.oneof(
  { weight: 3, arbitrary: put.map(step => ({ ...step, trouble: 'none' as const, condition: 'none' as const })) },
  {
    weight: 2,
    arbitrary: multipart.map(step => ({
      ...step,
      ...{ trouble: 'none' as const, numbers: 'each' as const, end: 'complete' as const },
      parts: step.parts.map(one => ({ ...one, copied: false, trouble: 'none' as const })),
    })),
  },
);

/** A write that S3 refuses, whatever the object is. */
export const FAILED_WRITE: fc.Arbitrary<Put | Multipart | Copy> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(put, fc.constantFrom<Trouble>('refused early', 'refused', 'wrong sum'))
      .map(([step, trouble]) => ({ ...step, trouble })),
  },
  {
    weight: 1,
    arbitrary: put.map(step => ({ ...step, trouble: 'none' as const, condition: 'if-match old' as const })),
  },
  {
    weight: 1,
    arbitrary: multipart.map(step => ({
      ...step,
      ...{ trouble: 'kept alive, refused' as const, end: 'complete' as const, parts: [step.parts.at(-1)!] },
    })),
  },
  {
    weight: 1,
    arbitrary: fc.constant({ ...PLAIN_WRITES.copy, trouble: 'kept alive, refused' as const, from: 'open' as const }),
  },
);
