import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { checkPlan, checkSchedule, ModelFailure } from './check.ts';
import { PLANS, type Plan } from './places.ts';
import { RunFailure } from './runner.ts';
import type { Schedule } from './steps.ts';
import { Tally } from './tally.ts';

const HELP = `Random schedules of reads, writes, faults and losses against proxies, every answer checked.

  npm run model -- [--minutes 10] [--seed N] [--place NAME] [--runs N]
  npm run model -- --place NAME --schedule JSON_OR_FILE [--tries N]

Without --place the time is shared by all places:
${PLANS.map(({ name }) => `  ${name}`).join('\n')}
The places with processes run what \`npm run build\` made last.`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    place: { type: 'string' },
    runs: { type: 'string' },
    schedule: { type: 'string' },
    tries: { type: 'string', default: '20' },
    shrink: { type: 'string', default: '3' },
    help: { type: 'boolean', default: false },
  },
});

process.exitCode = await main();

async function main(): Promise<number> {
  const plans = PLANS.filter(({ name }) => values.place === undefined || name.includes(values.place));
  if (values.help || plans.length === 0) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  if (values.schedule !== undefined) return again(plans[0]!, values.schedule, Number(values.tries));
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
  console.log(`seed ${seed}`);
  let failed = 0;
  for (const plan of plans) failed += await search(plan, seed, (Number(values.minutes) * 60_000) / plans.length);
  return failed > 0 ? 1 : 0;
}

/** 1 when something went wrong, else 0. */
async function search(plan: Plan, seed: number, time: number): Promise<number> {
  const tally = new Tally();
  const runs = values.runs === undefined ? {} : { runs: Number(values.runs) };
  const shrinkTime = Number(values.shrink) * 60_000;
  const options = { seed, time, shrinkTime, tally, out: console.log, ...runs };
  const failed = await told(() => checkPlan(plan, options));
  console.log(`${plan.name}: ${tally}`);
  return failed;
}

async function again(plan: Plan, schedule: string, tries: number): Promise<number> {
  const text = schedule.startsWith('[') ? schedule : readFileSync(schedule, 'utf8');
  const tally = new Tally();
  const failed = await told(() => checkSchedule(plan, JSON.parse(text) as Schedule, tries, tally));
  console.log(`${plan.name}: ${tally}`);
  return failed;
}

async function told(act: () => Promise<void>): Promise<number> {
  try {
    await act();
    return 0;
  } catch (error) {
    console.error(error instanceof ModelFailure || error instanceof RunFailure ? error.message : error);
    return 1;
  }
}
