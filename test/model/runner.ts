import { setTimeout as wait } from 'node:timers/promises';
import { harm } from './harm.ts';
import { Heard } from './heard.ts';
import { type Circumstances, judge, mayBeCut, type Seen } from './judge.ts';
import { type Act, keptCounts, raced } from './kept.ts';
import type { Place, Seat } from './places.ts';
import { quiet } from './quiet.ts';
import { type Reading, startReading } from './reading.ts';
import { Refusals, type Turn } from './refusals.ts';
import type { Setting } from './sending.ts';
import { hashOf, stagingFolder } from './staging.ts';
import { describeStep, PLAIN_READ, type Read, type Schedule, type Step, THINGS, type Thing } from './steps.ts';
import type { Tally } from './tally.ts';
import type { Subject } from './world.ts';
import type { Write } from './write-steps.ts';
import { write } from './writing.ts';

/** How long a wave waits for its steps, ms. */
const WAVE = 60;

let runs = 0;

export class RunFailure extends Error {
  override readonly name = 'RunFailure';
  /** The place has not become quiet: it is of no use any more. */
  readonly lasting: boolean;

  constructor(message: string, lasting: boolean) {
    super(message);
    this.lasting = lasting;
  }
}

/** Runs a schedule against a place, with objects of its own. Throws with everything that went wrong. */
export async function runSchedule(place: Place, schedule: Schedule, tally: Tally): Promise<void> {
  const run = new Run(place, tally, `r${++runs}`);
  await run.all(schedule);
}

class Run {
  readonly #place: Place;
  readonly #tally: Tally;
  readonly #name: string;
  readonly #problems: string[] = [];
  readonly #heard: Heard;
  readonly #refusals = new Refusals();
  readonly #acts: Act[] = [];
  /** Names of folders in `uploads/`, and whether S3 has said that their uploads are over. */
  readonly #uploads = new Map<string, boolean>();
  readonly #running: Promise<unknown>[] = [];
  readonly #readings: Promise<unknown>[] = [];
  #turn = 0;
  #waiting: { readonly turn: number; readonly go: () => void }[] = [];

  constructor(place: Place, tally: Tally, name: string) {
    this.#place = place;
    this.#tally = tally;
    this.#name = name;
    this.#heard = new Heard(place.plan.ttl);
  }

  async all(schedule: Schedule): Promise<void> {
    const { world } = this.#place;
    for (const thing of THINGS) world.overwrite(this.#subject(thing), 100_000, 'new', false);
    for (const wave of schedule) {
      const steps = wave.map(step => this.#take(step));
      this.#running.push(...steps);
      // What takes longer, because of a fault perhaps, goes on beside the next waves.
      await Promise.race([Promise.all(steps), wait(WAVE)]);
      await Promise.all(steps.filter((_, i) => wave[i]!.do === 'rest'));
      this.#nextTurn(this.#turn + 1);
      if (this.#problems.length > 0) break;
    }
    this.#nextTurn(Number.POSITIVE_INFINITY);
    await Promise.all(this.#running);
    await Promise.all(this.#readings);
    world.calm();
    for (const thing of THINGS) await this.#settles(thing);
    for (const what of keptCounts(this.#acts)) this.#tally.count(what);
    const spared = new Set(raced(this.#acts).map(subject => hashOf(world.origin, subject)));
    const unquiet = await quiet(this.#place, this.#uploads, spared);
    world.forget(this.#name);
    const all = [...this.#problems, ...unquiet];
    if (all.length > 0) throw new RunFailure(all.join('\n'), unquiet.length > 0);
  }

  async #take(step: Step): Promise<void> {
    this.#tally.steps++;
    if ('after' in step && step.after > 0) await wait(step.after);
    const { world } = this.#place;
    const subject = 'of' in step ? this.#subject(step.of) : undefined;
    try {
      switch (step.do) {
        case 'read':
          return await this.#read(step);
        case 'overwrite':
          this.#did(subject);
          return world.overwrite(subject!, step.size, step.how, step.parts);
        case 'remove':
          this.#did(subject);
          return world.remove(subject!);
        case 'fault':
          return world.fault(subject!, step.what, step.at, step.times);
        case 'forbid':
        case 'permit':
          return world.letBobRead(subject!, step.do === 'permit');
        case 'lose':
          this.#did(undefined);
          return await harm(this.#place.cacheDir, step.pick, step.how);
        case 'rest':
          return await wait(step.ms);
        case 'kill':
          return await this.#during(undefined, () => this.#place.seats[step.via]!.killAndRestart());
        default:
          return await this.#write(step);
      }
    } catch (error) {
      this.#problems.push(`${describeStep(step)}: ${(error as Error).stack}`);
    }
  }

  /** Resolves when the reading pauses or has ended; it is judged when it has ended. */
  async #read(step: Read): Promise<void> {
    const subject = this.#subject(step.of);
    const seat = this.#place.seats[step.via]!;
    const startedAt = performance.now();
    const heardSince = this.#heard.since(subject, step.via, startedAt);
    const notBefore = step.anew ? startedAt : this.#heard.notBefore(subject, heardSince, startedAt);
    const turn = this.#refusals.begin(step, subject);
    const reading = startReading(step, subject, seat.client, n => this.#turnsLater(n), this.#place.readTimes);
    const judged = reading.ends.then(
      seen => this.#judge(step, reading, seen, { startedAt, notBefore, heardSince, subject, seat, turn }),
      (error: Error) => {
        this.#problems.push(`${describeStep(step)}: ${error.message}`);
      },
    );
    this.#readings.push(judged);
    await Promise.race([reading.restsOrEnds.then(() => {}), judged]).catch(() => {});
    if (step.pace.how !== 'slow') await judged;
  }

  #judge(
    step: Read,
    { asked, ask }: Reading,
    seen: Seen,
    {
      startedAt,
      notBefore,
      heardSince,
      subject,
      seat,
      turn,
    }: { startedAt: number; notBefore: number; heardSince: number; subject: Subject; seat: Seat; turn: Turn },
  ): boolean {
    const { world } = this.#place;
    this.#refusals.end(turn, seen);
    const facts: Circumstances = {
      versions: subject.versions,
      permission: permissionOf(step, subject),
      startedAt,
      notBefore,
      heardSince,
      allowedSince: Math.max(notBefore, this.#refusals.before(turn)),
      trouble: world.trouble(subject, startedAt, seen.endedAt),
      killed: seat.wasDown(startedAt, seen.endedAt),
    };
    this.#tally.read(seen, asked);
    this.#acts.push({
      kind: 'read',
      subject,
      from: startedAt,
      ...readAct(step, seen),
      until: seen.endedAt,
      bodies: world.bodiesSince(subject, startedAt),
      wasDisturbed: facts.trouble !== 'none',
    });
    const problem =
      judge(asked, seen, facts) ??
      (mayBeCut(seen, facts) ? undefined : `cut after ${seen.length} bytes, and nothing had happened`);
    if (problem === undefined) return seen.complete;
    const was = subject.versions
      .between(notBefore, seen.endedAt)
      .map(({ what, from }) => `${what?.id ?? 'none'} (${what?.bytes.length ?? 0} bytes) from ${ms(from - startedAt)}`);
    const cache = seen.header('cache-status') ?? '';
    this.#problems.push(
      `${describeStep(step)} [${ask.headers?.join(' ')}]: ${problem}\n    answer: ${seen.status}, ${seen.length} bytes, ${
        seen.complete ? 'complete' : 'cut'
      }, ${seen.header('x-cache') ?? 'no X-Cache'} ${cache}, version ${seen.header('x-amz-meta-version')}, took ${ms(
        seen.endedAt - startedAt,
      )}\n    true since ${ms(notBefore - startedAt)}: ${was.join(', ')}`,
    );
    return true;
  }

  async #write(step: Write): Promise<void> {
    const { world, seats } = this.#place;
    const setting: Setting = {
      world,
      seats,
      subject: thing => this.#subject(thing),
      uploadBegun: (subject, uploadId) => {
        const folder = stagingFolder(world.origin, subject, uploadId);
        this.#uploads.set(folder, false);
        return () => this.#uploads.set(folder, true);
      },
      problem: text => this.#problems.push(`${describeStep(step)}: ${text}`),
      counted: what => this.#tally.count(what),
    };
    const subjects =
      step.do === 'delete many' ? step.keys.map(thing => this.#subject(thing)) : [this.#subject(step.of)];
    const from = performance.now();
    const acts = subjects.map((subject): Act => ({ kind: 'write', subject, from, until: Number.POSITIVE_INFINITY }));
    this.#acts.push(...acts);
    const written = await write(step, setting);
    const at = performance.now();
    this.#tally.count(step.do);
    for (const { subject, via, outcome, startedAt, effect, keeps } of written) {
      this.#tally.count(`write ${outcome}`);
      if (outcome === 'left' || outcome === 'refused') continue;
      // Of unknown outcome: what S3 said before the write began is not to be relied on any more, whatever became of it.
      this.#heard.push({ subject, via, at, bound: effect !== undefined && effect <= at ? effect : startedAt });
      const act = acts.find(one => one.subject === subject);
      if (act) act.keeps = keeps;
    }
    for (const act of acts) {
      act.until = at;
      act.refused =
        written.length === 1 && written[0]!.outcome === 'refused' && world.trouble(act.subject!, from, at) === 'none';
    }
  }

  /** Something happens to an object, or to all. */
  #did(subject: Subject | undefined): void {
    const now = performance.now();
    this.#acts.push({ kind: 'other', subject, from: now, until: now });
  }

  async #during(subject: Subject | undefined, act: () => Promise<void>): Promise<void> {
    const noted: Act = { kind: 'other', subject, from: performance.now(), until: Number.POSITIVE_INFINITY };
    this.#acts.push(noted);
    await act();
    noted.until = performance.now();
  }

  /** Once all is quiet, an object can be read whole: at once, or after a stale answer has been found out. */
  async #settles(thing: Thing): Promise<void> {
    const via = ((runs + THINGS.indexOf(thing)) % this.#place.seats.length) as 0 | 1;
    const subject = this.#subject(thing);
    const step: Read = { ...PLAIN_READ, of: thing, via };
    for (let tries = 0; tries < 3; tries++) {
      const seat = this.#place.seats[via]!;
      const startedAt = performance.now();
      const heardSince = this.#heard.since(subject, via, startedAt);
      const notBefore = this.#heard.notBefore(subject, heardSince, startedAt);
      const turn = this.#refusals.begin(step, subject);
      const reading = startReading(step, subject, seat.client, () => Promise.resolve(), this.#place.readTimes);
      const ends = await reading.ends;
      if (this.#judge(step, reading, ends, { startedAt, notBefore, heardSince, subject, seat, turn })) return;
    }
    this.#problems.push(`${thing} can not be read via ${via} when all is quiet: three answers were cut`);
  }

  #subject(thing: Thing): Subject {
    return this.#place.world.subject(this.#name, thing);
  }

  async #turnsLater(n: number): Promise<void> {
    if (this.#turn === Number.POSITIVE_INFINITY) return;
    const turn = this.#turn + n;
    await new Promise<void>(resolve => {
      this.#waiting.push({ turn, go: resolve });
    });
  }

  #nextTurn(turn: number): void {
    this.#turn = turn;
    const due = this.#waiting.filter(waiting => waiting.turn <= turn);
    this.#waiting = this.#waiting.filter(waiting => waiting.turn > turn);
    for (const { go } of due) go();
  }
}

/** What of a read tells whether the cache had what it was about. */
function readAct({ by, condition, want }: Read, seen: Seen): Pick<Act, 'version' | 'whole'> {
  const plainly = by === 'alice' && condition === 'none' && want.what !== 'part';
  if (!plainly || !seen.complete || (seen.status !== 200 && seen.status !== 206)) return {};
  return { version: seen.header('x-amz-meta-version') ?? '', whole: seen.status === 200 && want.what === 'all' };
}

function permissionOf({ by }: Read, subject: Subject) {
  if (by === 'bob') return subject.forBob;
  return by === 'nobody' ? subject.forNobody : subject.forAlice;
}

function ms(time: number): string {
  return `${Math.round(time)} ms`;
}
