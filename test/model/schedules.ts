import fc from 'fast-check';
import {
  type FaultKind,
  type Pace,
  PLAIN_READ,
  type Read,
  type Schedule,
  type Step,
  THINGS,
  type Thing,
  type Via,
  type Want,
} from './steps.ts';
import { FAILED_WRITE, KEPT_WRITE, WRITES } from './write-arbitraries.ts';

const KIB = 1024;
const MIB = KIB * KIB;
const SIZES = [
  ...[1, 0, 1000, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 300_000, MIB],
  ...[8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 20 * MIB, 36 * MIB],
];

const after = fc.constantFrom(0, 0, 1, 3, 10);
const of = fc.constantFrom(...THINGS);
const via = fc.constantFrom<Via>(0, 1);
const size = fc.constantFrom(...SIZES);
const edge = fc
  .tuple(fc.constantFrom(0, 64 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB), fc.integer({ min: -1, max: 1 }))
  .map(([at, by]) => Math.max(0, at + by));
const place = fc.oneof(edge, fc.nat(20 * MIB));
const span = fc.oneof(fc.constantFrom(1, 100, 64 * KIB, 2 * MIB), fc.nat(3 * MIB));

const want: fc.Arbitrary<Want> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Want>({ what: 'all' }) },
  {
    weight: 7,
    arbitrary: fc.record({
      what: fc.constant('range' as const),
      form: fc.constantFrom('closed', 'closed', 'open', 'suffix'),
      at: place,
      length: span,
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('part' as const), number: fc.integer({ min: 1, max: 4 }) }) },
);

const pace: fc.Arbitrary<Pace> = fc.oneof(
  { weight: 12, arbitrary: fc.constant<Pace>({ how: 'at once' }) },
  {
    weight: 2,
    arbitrary: fc.record({ how: fc.constant('slow' as const), pauseAt: place, waves: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ how: fc.constant('leaves' as const), at: place }) },
);

const read: fc.Arbitrary<Read> = fc.record({
  do: fc.constant('read' as const),
  of,
  via,
  by: fc.constantFrom('alice', 'alice', 'alice', 'alice', 'alice', 'bob', 'bob', 'nobody'),
  method: fc.constantFrom('GET', 'GET', 'GET', 'GET', 'HEAD'),
  want,
  signs: fc.constantFrom('headers', 'range too', 'url'),
  condition: fc.constantFrom(
    ...Array.from({ length: 8 }, () => 'none' as const),
    ...(['if-match', 'if-match old', 'if-none-match', 'if-none-match old', 'if-range'] as const),
  ),
  checksums: fc.boolean(),
  anew: fc.constantFrom(false, false, false, false, false, false, false, true),
  pace,
  after,
});

const overwrite = fc.record({
  do: fc.constant('overwrite' as const),
  of,
  size,
  how: fc.constantFrom('new', 'new', 'new', 'same', 'back'),
  parts: fc.constantFrom(false, false, true),
  after,
});
const fault = fc.record({
  do: fc.constant('fault' as const),
  of,
  what: fc.constantFrom<FaultKind>('cut', 'reset', 'stall', 'slow', 'late', 'drop', '500', '503'),
  at: place,
  times: fc.integer({ min: 1, max: 2 }),
});

/** A caller who was let read loses the permission, hears of it, and tries again: all that it was allowed is over. */
const refused: fc.Arbitrary<Schedule> = fc
  .tuple(fc.constantFrom<Thing>('plain', 'open'), via, read, read)
  .map(([thing, proxy, before, then]) => {
    const bob = { ...PLAIN_READ, of: thing, via: proxy, by: 'bob' as const };
    const again: Read = { ...bob, method: then.method, want: then.want, signs: then.signs };
    return [
      [{ do: 'permit', of: thing, after: 0 }],
      [{ ...bob, want: before.want }],
      [{ do: 'forbid', of: thing, after: 0 }],
      [{ ...bob, method: before.method, anew: true }],
      [again],
      [{ do: 'permit', of: thing, after: 0 }],
    ];
  });

/** S3's refusal breaks off. */
const halfRefused: fc.Arbitrary<Schedule> = fc
  .tuple(of, via, fc.constantFrom<FaultKind>('cut', 'reset'), fc.nat(200))
  .map(([thing, proxy, what, at]) => [
    [{ do: 'forbid', of: thing, after: 0 }],
    [{ do: 'fault', of: thing, what, at, times: 1 }],
    [{ ...PLAIN_READ, of: thing, via: proxy, by: 'bob', anew: true }],
  ]);

/** A read by which it shows whether a proxy has what it is about. */
const telling: fc.Arbitrary<Read> = fc
  .tuple(
    read,
    fc.constantFrom<Want>({ what: 'all' }, { what: 'all' }, { what: 'range', form: 'closed', at: 70_000, length: MIB }),
  )
  .map(([{ via: proxy, signs, checksums }, wanted]) => ({ ...PLAIN_READ, via: proxy, signs, checksums, want: wanted }));

/** An object is written, and read when its writer knows; or known, then not written after all, and read. */
const kept: fc.Arbitrary<Schedule> = fc
  .tuple(KEPT_WRITE, telling, read)
  .map(([step, first, then]) => [[step], [{ ...first, of: step.of }], [{ ...then, of: step.of, after: 0 }]]);
const failed: fc.Arbitrary<Schedule> = fc
  .tuple(FAILED_WRITE, telling)
  .map(([step, then]) => [
    [overwritten(step.of, 300_000, false)],
    [{ ...PLAIN_READ, of: step.of, via: then.via }],
    [step],
    [{ ...then, of: step.of }],
  ]);

/** S3 answers a read late, and meanwhile the object is written: what the read brings is of the past. */
const overtaken: fc.Arbitrary<Schedule> = fc.tuple(KEPT_WRITE, telling, via).map(([step, then, proxy]) => [
  [overwritten(step.of, 300_000, false)],
  [{ do: 'fault', of: step.of, what: 'late', at: 0, times: 1 }],
  [
    { ...PLAIN_READ, of: step.of, via: proxy },
    { ...step, after: 10 },
  ],
  [{ ...then, of: step.of, via: step.via }],
  [{ ...PLAIN_READ, of: step.of, via: proxy }],
]);

/** When all that is known has been looked at again, what was written through one proxy is what all others give. */
function seenByAll(vias: 1 | 2): Schedule {
  const proxies: Via[] = vias === 1 ? [0] : [0, 1];
  const reads = proxies.flatMap(proxy => THINGS.map(thing => ({ ...PLAIN_READ, of: thing, via: proxy })));
  return [[{ do: 'rest', ms: 1100 }], reads];
}

/** Where there is one proxy only, all goes through it. */
function throughOne(vias: 1 | 2, waves: Schedule): Schedule {
  if (vias === 2) return waves;
  return waves.map(wave => wave.map(step => throughFirst(step)));
}

function throughFirst(step: Step): Step {
  if (!('via' in step)) return step;
  const first = { ...step, via: 0 as const };
  if (first.do !== 'multipart') return first;
  return { ...first, createVia: 0, parts: first.parts.map(part => ({ ...part, via: 0 })) };
}

/** With the first kill only: a process takes a second or more to come back. */
function onceKilled(waves: Schedule): Schedule {
  const first = waves.flat().find(step => step.do === 'kill');
  return waves.map(wave => wave.filter(step => step.do !== 'kill' || step === first));
}

/** What an object is when a schedule begins: rather large than small, since that takes longer and more can come between. */
function first(thing: Thing): fc.Arbitrary<Step> {
  const sizes = fc.constantFrom(0, 64 * KIB, 300_000, MIB, 8 * MIB + 1, 20 * MIB, 20 * MIB, 36 * MIB);
  return fc.tuple(sizes, fc.boolean()).map(([bytes, parts]) => overwritten(thing, bytes, parts));
}

function overwritten(thing: Thing, bytes: number, parts: boolean): Step {
  return { do: 'overwrite', of: thing, size: bytes, how: 'new', parts, after: 0 };
}

/** @param kills whether proxies can be killed */
export function schedules({ kills, vias }: { kills: boolean; vias: 1 | 2 }): fc.Arbitrary<Schedule> {
  const step = fc.oneof(
    { weight: 70, arbitrary: read },
    ...WRITES,
    { weight: 6, arbitrary: overwrite },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), of, after }) },
    { weight: 6, arbitrary: fault },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('forbid' as const, 'permit' as const), of, after }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('lose' as const),
        pick: fc.nat(1000),
        how: fc.constantFrom('unlink', 'truncate', 'flip'),
        after,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('rest' as const), ms: fc.constantFrom(50, 100, 350, 50, 100, 1100) }),
    },
    ...(kills ? [{ weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), via, after }) }] : []),
  ) as fc.Arbitrary<Step>;
  const waves = fc.array(fc.array(step, { minLength: 2, maxLength: 10, size: 'max' }), {
    minLength: 5,
    maxLength: 12,
    size: 'max',
  });
  const end = fc.oneof(
    { weight: 2, arbitrary: fc.constant<Schedule>([]) },
    { weight: 1, arbitrary: fc.constant(seenByAll(vias)) },
  );
  return fc
    .tuple(
      fc.tuple(...THINGS.map(first)),
      waves,
      fc.array(fc.tuple(fc.nat(6), fc.oneof(refused, halfRefused)), { minLength: 1, maxLength: 2 }),
      fc.array(fc.tuple(fc.nat(6), kept), { minLength: 1, maxLength: 1 }),
      // At first nothing else is under way that could come between.
      fc.tuple(kept, failed, overtaken),
      end,
    )
    .map(([begin, middle, refusals, writes, alone, last]) => {
      const scenes = [...refusals, ...writes];
      const all = scenes.reduce((before, [at, scene]) => before.toSpliced(at, 0, ...scene), onceKilled(middle));
      return throughOne(vias, [begin, ...alone.flat(), ...all, ...last]);
    });
}
