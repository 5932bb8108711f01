import { setTimeout as wait } from 'node:timers/promises';
import { Heard } from '../model/heard.ts';
import { type Circumstances, judge, mayBeCut, type Seen } from '../model/judge.ts';
import type { Place } from '../model/places.ts';
import { type Reading, startReading } from '../model/reading.ts';
import { Refusals } from '../model/refusals.ts';
import { describeStep, PLAIN_READ, type Read, type Schedule, type Step, THINGS, type Thing } from '../model/steps.ts';
import type { Tally } from '../model/tally.ts';
import type { Subject } from '../model/world.ts';
import type { Write } from '../model/write-steps.ts';
import { write } from '../model/writing.ts';

/** How long a wave waits for its steps, ms: what takes longer goes on beside the next ones. */
const WAVE = 60;
/** Between two waves, so that the machine is not all taken, ms. */
const REST = 40;

export interface PartyOptions {
  readonly place: Place;
  readonly name: string;
  readonly tally: Tally;
  /**
   * Whether what a writer was told holds through the other proxy, too. Not where the volume fails: then a write may not be
   * noted on it, and the ttl is what bounds the others.
   */
  readonly isNoted: boolean;
  readonly problem: (text: string) => void;
}

/** Three objects of its own, read and written by several clients at once as schedules say; every answer is judged. */
export class Party {
  readonly #options: PartyOptions;
  readonly #heard: Heard;
  #refusals = new Refusals();
  /** Writes under way. */
  writes = 0;

  constructor(options: PartyOptions) {
    this.#options = options;
    this.#heard = new Heard(options.place.plan.ttl);
    for (const thing of THINGS) options.place.world.overwrite(this.#subject(thing), 100_000, 'new', false);
  }

  /** Resolves when all that it began has ended. */
  async play(schedule: Schedule, goesOn: () => boolean): Promise<void> {
    this.#refusals = new Refusals();
    const running: Promise<void>[] = [];
    for (const wave of schedule) {
      if (!goesOn()) break;
      const steps = wave.map(step => this.#take(step));
      running.push(...steps);
      await Promise.race([Promise.all(steps), wait(WAVE)]);
      await wait(REST);
    }
    await Promise.all(running);
  }

  /** Reads all of each object through a proxy, and tells how many bytes there were. */
  async readAll(via: 0 | 1): Promise<number> {
    let bytes = 0;
    for (const of of THINGS) {
      await this.#take({ ...PLAIN_READ, of, via });
      bytes += this.#subject(of).versions.now?.bytes.length ?? 0;
    }
    return bytes;
  }

  async #take(step: Step): Promise<void> {
    const { place, tally, problem } = this.#options;
    const { world } = place;
    tally.steps++;
    if ('after' in step && step.after > 0) await wait(step.after);
    try {
      // What would only be refused by a proxy that is not there tells nothing.
      if ('via' in step) await place.seats[step.via]!.up;
      switch (step.do) {
        case 'read':
          return await this.#read(step);
        case 'overwrite':
          return world.overwrite(this.#subject(step.of), step.size, step.how, step.parts);
        case 'remove':
          return world.remove(this.#subject(step.of));
        case 'fault':
          return world.fault(this.#subject(step.of), step.what, step.at, step.times);
        case 'forbid':
        case 'permit':
          return world.letBobRead(this.#subject(step.of), step.do === 'permit');
        // These are for all parties at once (chaos.ts).
        case 'lose':
        case 'rest':
        case 'kill':
          return;
        default:
          return await this.#write(step);
      }
    } catch (error) {
      problem(`${describeStep(step)}: ${(error as Error).stack}`);
    }
  }

  async #read(step: Read): Promise<void> {
    const { place, problem } = this.#options;
    const subject = this.#subject(step.of);
    const { client } = place.seats[step.via]!;
    const startedAt = performance.now();
    const heardSince = this.#heard.since(subject, step.via, startedAt);
    const notBefore = step.anew ? startedAt : this.#heard.notBefore(subject, heardSince, startedAt);
    const turn = this.#refusals.begin(step, subject);
    const reading = startReading(step, subject, client, waves => wait(waves * (WAVE + REST)), place.readTimes);
    const seen = await reading.ends;
    this.#refusals.end(turn, seen);
    const allowedSince = Math.max(notBefore, this.#refusals.before(turn));
    const wrong = this.#judge(step, reading, seen, { subject, startedAt, notBefore, heardSince, allowedSince });
    if (wrong !== undefined) problem(wrong);
  }

  #judge(
    step: Read,
    { asked, ask }: Reading,
    seen: Seen,
    about: Pick<Circumstances, 'startedAt' | 'notBefore' | 'heardSince' | 'allowedSince'> & { subject: Subject },
  ): string | undefined {
    const { place, tally } = this.#options;
    const { subject, startedAt, notBefore } = about;
    const permission = { alice: subject.forAlice, bob: subject.forBob, nobody: subject.forNobody }[step.by];
    const facts: Circumstances = {
      ...about,
      versions: subject.versions,
      permission,
      trouble: place.world.trouble(subject, startedAt, seen.endedAt),
      killed: place.seats[step.via]!.wasDown(startedAt, seen.endedAt),
    };
    tally.read(seen, asked);
    const wrong =
      judge(asked, seen, facts) ??
      (mayBeCut(seen, facts) ? undefined : `cut after ${seen.length} bytes, and nothing had happened`);
    if (wrong === undefined) return undefined;
    const was = subject.versions
      .between(notBefore, seen.endedAt)
      .map(({ what, from }) => `${what?.id ?? 'none'} from ${Math.round(from - startedAt)} ms`);
    return `${describeStep(step)} of ${subject.key} [${ask.headers?.join(' ')}]: ${wrong}
    answer: ${seen.status}, ${seen.length} bytes, ${seen.complete ? 'complete' : 'cut'}, ${seen.header('x-cache')} ${seen.header('cache-status')}, version ${seen.header('x-amz-meta-version')}, took ${Math.round(seen.endedAt - startedAt)} ms
    true since ${Math.round(notBefore - startedAt)} ms: ${was.join(', ')}
    S3 was asked: ${place.world.asked(subject, startedAt, seen.endedAt)}`;
  }

  async #write(step: Write): Promise<void> {
    const { place, tally, problem, isNoted } = this.#options;
    const { world, seats } = place;
    this.writes++;
    const results = await write(step, {
      world,
      seats,
      subject: thing => this.#subject(thing),
      uploadBegun: () => () => {},
      problem: text => problem(`${describeStep(step)}: ${text}`),
      counted: what => tally.count(what),
    }).finally(() => {
      this.writes--;
    });
    const at = performance.now();
    tally.count(step.do);
    for (const { subject, via, outcome, startedAt, effect } of results) {
      tally.count(`write ${outcome}`);
      if (outcome === 'left' || outcome === 'refused') continue;
      // A process that is killed before S3's answer has come leaves no trace of the write (docs/reliability.md).
      if (outcome === 'unknown' && seats[via]!.wasDown(startedAt, at)) continue;
      if (isNoted)
        this.#heard.push({ subject, via, at, bound: effect !== undefined && effect <= at ? effect : startedAt });
    }
  }

  #subject(thing: Thing): Subject {
    return this.#options.place.world.subject(this.#options.name, thing);
  }
}
