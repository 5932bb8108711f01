import fc from 'fast-check';

/** Three objects: one as usual, one that `bob` may not read at first, one in a bucket that is open to all and has another ttl. */
export type Thing = 'plain' | 'guarded' | 'open';
export const THINGS: readonly Thing[] = ['plain', 'guarded', 'open'];

const KIB = 1024;
const MIB = KIB * KIB;
const SIZES = [
  ...[1, 0, 1000, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 300_000, MIB],
  ...[8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 20 * MIB, 36 * MIB],
];

/** Offsets are taken modulo the object's length and a little more, so that most ranges are of it and some are not. */
export type Want =
  | { readonly what: 'all' }
  | {
      readonly what: 'range';
      readonly form: 'closed' | 'open' | 'suffix';
      readonly at: number;
      readonly length: number;
    }
  | { readonly what: 'part'; readonly number: number };

export type Pace =
  | { readonly how: 'at once' }
  /** Reads so many bytes, then none until so many waves later. */
  | { readonly how: 'slow'; readonly pauseAt: number; readonly waves: number }
  | { readonly how: 'leaves'; readonly at: number };

export interface Read {
  readonly do: 'read';
  readonly of: Thing;
  readonly via: 0 | 1;
  readonly by: 'alice' | 'bob' | 'nobody';
  readonly method: 'GET' | 'HEAD';
  readonly want: Want;
  /** Headers signed but for Range and conditions, as SDKs do; those signed, too, as the AWS CLI does; or a presigned URL. */
  readonly signs: 'headers' | 'range too' | 'url';
  readonly condition: 'none' | 'if-match' | 'if-match old' | 'if-none-match' | 'if-none-match old' | 'if-range';
  readonly checksums: boolean;
  /** S3 is to be asked, whatever is cached. */
  readonly anew: boolean;
  readonly pace: Pace;
  /** ms into its wave. */
  readonly after: number;
}

/** What a read is made when nothing about it matters. */
export const PLAIN_READ: Read = {
  do: 'read',
  of: 'plain',
  via: 0,
  by: 'alice',
  method: 'GET',
  want: { what: 'all' },
  signs: 'headers',
  condition: 'none',
  checksums: false,
  anew: false,
  pace: { how: 'at once' },
  after: 0,
};

export type Step =
  | Read
  /** At the origin, behind the proxies' backs: other bytes, the same bytes anew, or those it had before. */
  | {
      readonly do: 'overwrite';
      readonly of: Thing;
      readonly size: number;
      readonly how: 'new' | 'same' | 'back';
      readonly parts: boolean;
      readonly after: number;
    }
  | { readonly do: 'remove'; readonly of: Thing; readonly after: number }
  | { readonly do: 'put'; readonly of: Thing; readonly via: 0 | 1; readonly size: number; readonly after: number }
  | { readonly do: 'delete'; readonly of: Thing; readonly via: 0 | 1; readonly after: number }
  /** What happens to the next requests for an object that reach the origin. */
  | { readonly do: 'fault'; readonly of: Thing; readonly what: FaultKind; readonly at: number; readonly times: number }
  | { readonly do: 'forbid' | 'permit'; readonly of: Thing; readonly after: number }
  /** A file of the cache is removed or damaged. */
  | { readonly do: 'lose'; readonly pick: number; readonly how: 'unlink' | 'truncate' | 'flip'; readonly after: number }
  | { readonly do: 'rest'; readonly ms: number }
  | { readonly do: 'kill'; readonly via: 0 | 1; readonly after: number };

export type FaultKind = 'cut' | 'reset' | 'stall' | 'slow' | 'late' | 'drop' | '500' | '503';

/** Steps of a wave run at the same time; the next wave begins when those have ended, or pause. */
export type Schedule = readonly (readonly Step[])[];

const after = fc.constantFrom(0, 0, 1, 3, 10);
const of = fc.constantFrom(...THINGS);
const via = fc.constantFrom<0 | 1>(0, 1);
const size = fc.constantFrom(...SIZES);
const smallSize = fc.constantFrom(...SIZES.filter(bytes => bytes <= MIB), 8 * MIB + 1);
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

const put = fc.record({ do: fc.constant('put' as const), of, via, size: smallSize, after });
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

/** When all that is known has been looked at again, what was written through one proxy is what all others give. */
function seenByAll(vias: 1 | 2): Schedule {
  const proxies: (0 | 1)[] = vias === 1 ? [0] : [0, 1];
  const reads = proxies.flatMap(proxy => THINGS.map(thing => ({ ...PLAIN_READ, of: thing, via: proxy })));
  return [[{ do: 'rest', ms: 1100 }], reads];
}

/** Where there is one proxy only, all goes through it. */
function throughOne(vias: 1 | 2, waves: Schedule): Schedule {
  if (vias === 2) return waves;
  return waves.map(wave => wave.map(step => ('via' in step ? { ...step, via: 0 as const } : step)));
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
    { weight: 90, arbitrary: read },
    { weight: 6, arbitrary: overwrite },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), of, after }) },
    { weight: 3, arbitrary: put },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), of, via, after }) },
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
    minLength: 6,
    maxLength: 16,
    size: 'max',
  });
  const end = fc.oneof(
    { weight: 2, arbitrary: fc.constant<Schedule>([]) },
    { weight: 1, arbitrary: fc.constant(seenByAll(vias)) },
  );
  return fc
    .tuple(fc.tuple(...THINGS.map(first)), waves, fc.tuple(fc.nat(6), refused), fc.tuple(fc.nat(6), halfRefused), end)
    .map(([begin, middle, [at, scene], [where, other], last]) =>
      throughOne(vias, [
        begin,
        ...onceKilled(middle)
          .toSpliced(at, 0, ...scene)
          .toSpliced(where, 0, ...other),
        ...last,
      ]),
    );
}

/** One line for a person. */
export function describeStep(step: Step): string {
  const { do: what, ...rest } = step;
  if (step.do !== 'read') {
    const facts = Object.entries(rest).filter(([name, value]) => value !== 0 || name === 'via' || name === 'size');
    return `${what} ${facts.map(([name, value]) => `${name}=${value}`).join(' ')}`;
  }
  const { of: thing, via: proxy, by, method, want: wanted, signs, condition, checksums, anew, pace: speed } = step;
  const parts = [`${method} ${thing} via ${proxy} by ${by}`, wantedText(wanted)];
  if (signs !== 'headers') parts.push(signs === 'url' ? 'presigned' : 'range signed');
  if (condition !== 'none') parts.push(condition);
  if (checksums) parts.push('checksums');
  if (anew) parts.push('asks anew');
  if (speed.how === 'slow') parts.push(`pauses at ${speed.pauseAt} for ${speed.waves} waves`);
  if (speed.how === 'leaves') parts.push(`leaves at ${speed.at}`);
  if (step.after > 0) parts.push(`after ${step.after} ms`);
  return parts.join(', ');
}

export function describeSchedule(schedule: Schedule): string {
  return schedule.map((wave, i) => `  ${i + 1}. ${wave.map(describeStep).join('\n     ')}`).join('\n');
}

function wantedText(want: Want): string {
  if (want.what === 'all') return 'all';
  if (want.what === 'part') return `part ${want.number}`;
  return `range ${want.form} at=${want.at} length=${want.length}`;
}
