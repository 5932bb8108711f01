import { setTimeout as wait } from 'node:timers/promises';
import { harm } from './harm.ts';
import { type Circumstances, judge, mayBeCut, type Seen } from './judge.ts';
import type { Place, Seat } from './places.ts';
import { quiet } from './quiet.ts';
import { type Reading, startReading } from './reading.ts';
import { Refusals, type Turn } from './refusals.ts';
import { describeStep, PLAIN_READ, type Read, type Schedule, type Step, THINGS, type Thing } from './steps.ts';
import type { Tally } from './tally.ts';
import { OPEN, type Subject } from './world.ts';

/** What is known on the volume is looked at again after at most this time, ms (docs/architecture.md): another proxy's write is seen then. */
const LOOK_EVERY = 1000;
/** Clocks are read in whole ms here and there. */
const SLACK = 25;

/** How long a wave waits for its steps, ms. */
const WAVE = 60;

/** A write that its writer has heard of: from then on nothing older than `bound` may be told. */
interface Heard {
  readonly subject: Subject;
  readonly via: number;
  readonly at: number;
  readonly bound: number;
}

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
  readonly #writes: Heard[] = [];
  readonly #refusals = new Refusals();
  readonly #running: Promise<unknown>[] = [];
  readonly #readings: Promise<unknown>[] = [];
  #turn = 0;
  #waiting: { readonly turn: number; readonly go: () => void }[] = [];

  constructor(place: Place, tally: Tally, name: string) {
    this.#place = place;
    this.#tally = tally;
    this.#name = name;
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
    const unquiet = await quiet(this.#place);
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
        case 'put':
        case 'delete':
          return await this.#write(step);
        case 'overwrite':
          return world.overwrite(subject!, step.size, step.how, step.parts);
        case 'remove':
          return world.remove(subject!);
        case 'fault':
          return world.fault(subject!, step.what, step.at, step.times);
        case 'forbid':
        case 'permit':
          return world.letBobRead(subject!, step.do === 'permit');
        case 'lose':
          return await harm(this.#place.cacheDir, step.pick, step.how);
        case 'rest':
          return await wait(step.ms);
        case 'kill':
          return await this.#place.seats[step.via]!.killAndRestart();
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
    const notBefore = step.anew ? startedAt : this.#notBefore(subject, step.via, startedAt);
    const turn = this.#refusals.begin(step, subject);
    const reading = startReading(step, subject, seat.client, n => this.#turnsLater(n));
    const judged = reading.ends.then(
      seen => this.#judge(step, reading, seen, { startedAt, notBefore, subject, seat, turn }),
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
      subject,
      seat,
      turn,
    }: { startedAt: number; notBefore: number; subject: Subject; seat: Seat; turn: Turn },
  ): boolean {
    const { world } = this.#place;
    this.#refusals.end(turn, seen);
    const facts: Circumstances = {
      versions: subject.versions,
      permission: permissionOf(step, subject),
      startedAt,
      notBefore,
      allowedSince: Math.max(notBefore, this.#refusals.before(turn)),
      trouble: world.trouble(subject, startedAt, seen.endedAt),
      killed: seat.wasDown(startedAt, seen.endedAt),
    };
    this.#tally.read(seen, asked);
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

  async #write(step: Extract<Step, { do: 'put' | 'delete' }>): Promise<void> {
    const { world, seats } = this.#place;
    const subject = this.#subject(step.of);
    const seat = seats[step.via]!;
    const startedAt = performance.now();
    const { bucket, key } = subject;
    const made = step.do === 'put' ? world.announce(step.size) : undefined;
    const answer = await seat.client
      .send({
        bucket,
        key,
        method: step.do === 'put' ? 'PUT' : 'DELETE',
        ...(made ? { headers: ['x-amz-meta-version', made.id], body: made.content.bytes } : {}),
      })
      .catch((error: NodeJS.ErrnoException) => {
        if (!['ECONNREFUSED', 'EPIPE', 'ECONNRESET'].includes(error.code ?? '')) throw error;
        return { status: 0 };
      });
    const at = performance.now();
    this.#tally.write(answer.status);
    if (answer.status === 0 && seat.wasDown(startedAt, at)) return;
    const accepted = answer.status === 200 || answer.status === 204;
    if (!accepted && !(answer.status >= 500 && world.trouble(subject, startedAt, at) !== 'none'))
      this.#problems.push(`${describeStep(step)}: ${answer.status}, and nothing was wrong with the origin`);
    // Of unknown outcome: what S3 said before the write began is not to be relied on any more, whatever became of it.
    const effect = made
      ? subject.versions.all.find(({ what }) => what?.id === made.id)?.from
      : subject.removals.find(time => time >= startedAt);
    if (accepted && effect === undefined) throw new Error(`${answer.status}, but it never came to the origin`);
    this.#writes.push({ subject, via: step.via, at, bound: accepted ? effect! : startedAt });
  }

  /** The moment before which nothing may be told to a read that starts at `now`. */
  #notBefore(subject: Subject, via: number, now: number): number {
    const ttl = this.#place.plan.ttl[subject.bucket === OPEN ? OPEN : 'data'];
    let bound = ttl === 0 ? now : now - ttl - SLACK;
    for (const write of this.#writes) {
      if (write.subject === subject && write.at <= now - (write.via === via ? 0 : LOOK_EVERY))
        bound = Math.max(bound, write.bound);
    }
    return bound;
  }

  /** Once all is quiet, an object can be read whole: at once, or after a stale answer has been found out. */
  async #settles(thing: Thing): Promise<void> {
    const via = ((runs + THINGS.indexOf(thing)) % this.#place.seats.length) as 0 | 1;
    const subject = this.#subject(thing);
    const step: Read = { ...PLAIN_READ, of: thing, via };
    for (let tries = 0; tries < 3; tries++) {
      const seat = this.#place.seats[via]!;
      const startedAt = performance.now();
      const notBefore = this.#notBefore(subject, via, startedAt);
      const turn = this.#refusals.begin(step, subject);
      const reading = startReading(step, subject, seat.client, () => Promise.resolve());
      if (this.#judge(step, reading, await reading.ends, { startedAt, notBefore, subject, seat, turn })) return;
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

function permissionOf({ by }: Read, subject: Subject) {
  if (by === 'bob') return subject.forBob;
  return by === 'nobody' ? subject.forNobody : subject.forAlice;
}

function ms(time: number): string {
  return `${Math.round(time)} ms`;
}
