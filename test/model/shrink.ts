import { PLAIN_READ, type Schedule, type Step } from './steps.ts';
import { isWrite, PLAIN_WRITES } from './write-steps.ts';

/**
 * A shorter and plainer schedule for which `fails` still holds, as far as the time goes: waves are left out, then steps,
 * then what steps ask for is made plainer. Such failures depend on timing, so `fails` is expected to try a few times;
 * what is known to fail is kept until something smaller has failed.
 */
export async function shrink(
  schedule: Schedule,
  fails: (candidate: Schedule) => Promise<boolean>,
  until: number,
): Promise<Schedule> {
  let best = schedule;
  for (let progress = true; progress; ) {
    progress = false;
    for (const candidates of [fewerWaves, fewerSteps, plainerSteps]) {
      let from = 0;
      for (;;) {
        const list = candidates(best);
        const at = await firstFailing(list, from, fails, until);
        if (at === undefined) break;
        best = list[at]!;
        progress = true;
        // What did not fail before is tried again in the next round only.
        from = Math.min(at, candidates(best).length);
      }
      if (performance.now() > until) return best;
    }
  }
  return best;
}

async function firstFailing(
  list: readonly Schedule[],
  from: number,
  fails: (candidate: Schedule) => Promise<boolean>,
  until: number,
): Promise<number | undefined> {
  for (let i = from; i < list.length && performance.now() < until; i++) if (await fails(list[i]!)) return i;
  return undefined;
}

function fewerWaves(schedule: Schedule): Schedule[] {
  return without(schedule);
}

function fewerSteps(schedule: Schedule): Schedule[] {
  return schedule.flatMap((wave, at) =>
    without(wave).map(fewer => schedule.map((other, i) => (i === at ? fewer : other))),
  );
}

function plainerSteps(schedule: Schedule): Schedule[] {
  return schedule.flatMap((wave, at) =>
    wave.flatMap((step, j) =>
      plainer(step).map(other => schedule.map((w, i) => (i === at ? w.map((kept, k) => (k === j ? other : kept)) : w))),
    ),
  );
}

/** Without a half, without a quarter, …, without one; never empty. */
function without<T>(list: readonly T[]): T[][] {
  const shorter: T[][] = [];
  for (let size = Math.floor(list.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < list.length; at += size) {
      const rest = [...list.slice(0, at), ...list.slice(at + size)];
      if (rest.length > 0) shorter.push(rest);
    }
  }
  return shorter;
}

/** The step with one thing about it made as plain as can be. */
function plainer(step: Step): Step[] {
  const plain: Record<string, unknown> =
    step.do === 'read'
      ? { ...PLAIN_READ }
      : isWrite(step)
        ? { ...PLAIN_WRITES[step.do] }
        : { after: 0, parts: false, how: 'new' };
  if (step.do === 'lose') plain.how = 'unlink';
  const [first, ...rest] = step.do === 'multipart' ? step.parts : [];
  const fewer = step.do === 'multipart' && first && rest.length > 0 ? [{ ...step, parts: rest }] : [];
  const others = Object.entries(step).flatMap(([name, value]) => {
    if (!(name in plain) || ['do', 'of', 'via'].includes(name) || (name === 'parts' && step.do === 'multipart'))
      return [];
    return JSON.stringify(value) === JSON.stringify(plain[name]) ? [] : [{ ...step, [name]: plain[name] } as Step];
  });
  return [...fewer, ...others];
}
