import type { Write } from './write-steps.ts';

/** Three objects: one as usual, one that `bob` may not read at first, one in a bucket that is open to all and has another ttl. */
export type Thing = 'plain' | 'guarded' | 'open';
export const THINGS: readonly Thing[] = ['plain', 'guarded', 'open'];

/** Through which proxy. */
export type Via = 0 | 1;

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
  readonly via: Via;
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
  | Write
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
  /** What happens to the next requests for an object that reach the origin. */
  | { readonly do: 'fault'; readonly of: Thing; readonly what: FaultKind; readonly at: number; readonly times: number }
  | { readonly do: 'forbid' | 'permit'; readonly of: Thing; readonly after: number }
  /** A file of the cache is removed or damaged. */
  | { readonly do: 'lose'; readonly pick: number; readonly how: 'unlink' | 'truncate' | 'flip'; readonly after: number }
  | { readonly do: 'rest'; readonly ms: number }
  | { readonly do: 'kill'; readonly via: Via; readonly after: number };

export type FaultKind = 'cut' | 'reset' | 'stall' | 'slow' | 'late' | 'drop' | '500' | '503';

/** Steps of a wave run at the same time; the next wave begins when those have ended, or pause. */
export type Schedule = readonly (readonly Step[])[];

/** One line for a person. */
export function describeStep(step: Step): string {
  const { do: what, ...rest } = step;
  if (step.do !== 'read') {
    const facts = Object.entries(rest).filter(([name, value]) => value !== 0 || name === 'via' || name === 'size');
    const text = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : String(value));
    return `${what} ${facts.map(([name, value]) => `${name}=${text(value)}`).join(' ')}`;
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
