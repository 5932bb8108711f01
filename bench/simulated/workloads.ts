import { seeded, shuffle, zipf } from './random.ts';

/** What a client asks for. Objects are numbers. */
export type Request =
  | {
      readonly kind: 'get';
      readonly object: number;
      readonly length: number;
      readonly start: number;
      readonly end: number;
    }
  | { readonly kind: 'head'; readonly object: number; readonly length: number }
  | { readonly kind: 'put'; readonly object: number; readonly length: number };

/** What is read again and again in such a way in S3, as far as one can make it up: synthetic, and the same in each run. */
export interface Workload {
  readonly name: string;
  readonly title: string;
  /** Of the two tiers. */
  readonly ramBytes: number;
  readonly diskBytes: number;
  requests(): Iterable<Request>;
}

const KIB = 1 << 10;
const MIB = 1 << 20;

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'epochs',
    title: 'training, 6 epochs of 8 GiB in 64 MiB shards, half fits',
    ramBytes: 256 * MIB,
    diskBytes: 4096 * MIB,
    *requests() {
      const random = seeded(1);
      const shards = Array.from({ length: 128 }, (_, i) => i);
      for (let epoch = 0; epoch < 6; epoch++) {
        for (const object of shuffle([...shards], random)) {
          // The index that each worker looks into before a shard.
          yield whole(1000, 48 * KIB);
          yield* inParts(object, 64 * MIB, 8 * MIB);
        }
      }
    },
  },
  {
    name: 'parquet',
    title: 'Parquet, footers and column chunks of 1,000 files of 128 MiB',
    ramBytes: 128 * MIB,
    diskBytes: 2048 * MIB,
    *requests() {
      const random = seeded(2);
      const [file, column] = [zipf(1000, 0.9, random), zipf(24, 1.1, random)];
      const [length, footer, chunk] = [128 * MIB, 64 * KIB, MIB];
      for (let query = 0; query < 12_000; query++) {
        const object = file();
        yield { kind: 'head', object, length };
        yield { kind: 'get', object, length, start: length - footer, end: length - 1 };
        for (let i = 0; i < 3; i++) {
          // Four row groups of 32 MiB, in each of which a column has its place.
          const start = Math.floor(random() * 4) * 32 * MIB + column() * chunk;
          yield { kind: 'get', object, length, start, end: start + chunk - 1 };
        }
      }
    },
  },
  {
    name: 'heads',
    title: 'Zipf GETs of 20,000 objects with storms of HEADs',
    ramBytes: 64 * MIB,
    diskBytes: 512 * MIB,
    *requests() {
      const random = seeded(3);
      const [object, lengths] = [zipf(20_000, 0.8, random), sizes(20_000, seeded(33))];
      for (let i = 0; i < 60_000; i++) {
        yield whole(...pair(object(), lengths));
        if (i % 6000 !== 5999) continue;
        const from = Math.floor(random() * 18_000);
        for (let other = from; other < from + 2000; other++)
          yield { kind: 'head', object: other, length: lengths[other]! };
      }
    },
  },
  {
    name: 'scans',
    title: 'Zipf GETs of 4,000 objects, and two one-off scans of ten times the cache',
    ramBytes: 32 * MIB,
    diskBytes: 512 * MIB,
    *requests() {
      const random = seeded(4);
      const [object, lengths] = [zipf(4000, 0.9, random), sizes(4000, seeded(44))];
      let scanned = 100_000;
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < 10_000; i++) yield whole(...pair(object(), lengths));
        if (round % 2 === 0) continue;
        for (let i = 0; i < 5120; i++) {
          yield whole(scanned++, MIB);
          if (i % 4 === 0) yield whole(...pair(object(), lengths));
        }
      }
    },
  },
  {
    name: 'overwrites',
    title: 'Zipf GETs of 10,000 objects, one request of ten an overwrite',
    ramBytes: 64 * MIB,
    diskBytes: 512 * MIB,
    *requests() {
      const random = seeded(5);
      const [object, lengths] = [zipf(10_000, 0.9, random), sizes(10_000, seeded(55))];
      for (let i = 0; i < 60_000; i++) {
        const [number, length] = pair(object(), lengths);
        if (random() < 0.1) yield { kind: 'put', object: number, length };
        else yield whole(number, length);
      }
    },
  },
];

function whole(object: number, length: number): Request {
  return { kind: 'get', object, length, start: 0, end: length - 1 };
}

function* inParts(object: number, length: number, part: number): Iterable<Request> {
  for (let start = 0; start < length; start += part)
    yield { kind: 'get', object, length, start, end: Math.min(start + part, length) - 1 };
}

/** From 4 KiB to 4 MiB, small ones the more often: the logarithm is spread evenly, and then leant towards the small. */
function sizes(count: number, random: () => number): number[] {
  return Array.from({ length: count }, () => Math.round(4 * KIB * 1024 ** (random() * random() * 1.2)));
}

function pair(object: number, lengths: readonly number[]): [number, number] {
  return [object, lengths[object]!];
}
