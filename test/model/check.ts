import fc from 'fast-check';
import { Place, type Plan } from './places.ts';
import { leftOpen, ownerless, socketCount, unreclaimed } from './quiet.ts';
import { RunFailure, runSchedule } from './runner.ts';
import { schedules } from './schedules.ts';
import { shrink } from './shrink.ts';
import { describeSchedule, type Schedule } from './steps.ts';
import { Tally } from './tally.ts';

export interface Options {
  /** Of the first schedule; each further one has the next. */
  readonly seed: number;
  /** No schedule is begun after so many ms, but for the first `least`. */
  readonly time: number;
  readonly least?: number;
  /** At most so many schedules. */
  readonly runs?: number;
  /** How long may be spent on making a failing schedule shorter, ms. */
  readonly shrinkTime: number;
  readonly tally: Tally;
  readonly out?: (line: string) => void;
}

/** What depends on timing is tried so often before it is taken not to fail. */
const TRIES = 4;

/** A failure as it is reported: how to have it again, what the shortest schedule is, and what went wrong in it. */
export class ModelFailure extends Error {
  override readonly name = 'ModelFailure';
}

/** Runs schedules against a place until the time is over or one fails; that one is made shorter and thrown. */
export async function checkPlan(plan: Plan, options: Options): Promise<void> {
  const { tally, seed, time, least = 0, runs = Number.POSITIVE_INFINITY } = options;
  const arbitrary = schedules({ kills: plan.processes, vias: plan.proxies });
  const until = performance.now() + time;
  await inPlace(plan, async place => {
    for (let i = 0; i < runs && (i < least || performance.now() < until); i++) {
      const [schedule] = fc.sample(arbitrary, { seed: seed + i, numRuns: 1 }) as [Schedule];
      tally.schedules++;
      try {
        await runSchedule(place, schedule, tally);
      } catch (error) {
        throw error instanceof RunFailure ? await report(plan, schedule, seed + i, options, error) : error;
      }
    }
  });
}

/** Runs one schedule, given as JSON, so often. */
export async function checkSchedule(plan: Plan, schedule: Schedule, tries: number, tally: Tally): Promise<void> {
  await inPlace(plan, async place => {
    for (let i = 0; i < tries; i++) {
      tally.schedules++;
      await runSchedule(place, schedule, tally);
    }
  });
}

async function inPlace(plan: Plan, act: (place: Place) => Promise<void>): Promise<void> {
  const sockets = await socketCount();
  const place = await Place.start(plan);
  const problems: string[] = [];
  try {
    await act(place);
    problems.push(...(await unreclaimed(place)));
    for (const name of await ownerless(place.cacheDir)) problems.push(`in tmp/ and nobody's: ${name}`);
  } finally {
    await end(place);
  }
  problems.push(...(await leftOpen(place.folder, sockets)));
  if (problems.length > 0) throw new ModelFailure(`Place "${plan.name}": ${problems.join('\n')}`);
}

/** Looks for the shortest schedule that still fails, in a new place, and reports it. */
async function report(
  plan: Plan,
  schedule: Schedule,
  seed: number,
  { shrinkTime, out = () => {} }: Options,
  first: RunFailure,
): Promise<ModelFailure> {
  out(`seed ${seed} fails (${first.message.split('\n')[0]}); looking for a shorter schedule`);
  let place = await Place.start(plan);
  let error: RunFailure | undefined;
  const fails = async (candidate: Schedule) => {
    for (let i = 0; i < TRIES; i++) {
      const failure = await runSchedule(place, candidate, new Tally()).then(
        () => undefined,
        (failed: RunFailure) => failed,
      );
      if (!failure) continue;
      error = failure;
      if (failure.lasting) {
        // What never becomes quiet would be part of the next try.
        await end(place);
        place = await Place.start(plan);
      }
      return true;
    }
    return false;
  };
  const shortest = await shrink(schedule, fails, performance.now() + shrinkTime);
  await end(place);
  const again = `npm run model -- --place "${plan.name}"`;
  return new ModelFailure(
    [
      `A proxy gave a wrong answer, or did not become quiet. Place "${plan.name}", seed ${seed}.`,
      `Again: ${again} --seed ${seed} --runs 1`,
      ...(error
        ? [error.message, describeSchedule(shortest), `Or, shrunk: ${again} --schedule '${JSON.stringify(shortest)}'`]
        : [first.message, '(It did not fail again when it was run by itself.)', describeSchedule(schedule)]),
    ].join('\n'),
  );
}

async function end(place: Place): Promise<void> {
  await place.stop();
  await place.clear();
}
