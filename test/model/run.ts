import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { checkPlan, checkSchedule, ModelFailure } from './check.ts';
import { PLANS } from './places.ts';
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
  const tally = new Tally();
  try {
    if (values.schedule !== undefined) {
      const text = values.schedule.startsWith('[') ? values.schedule : readFileSync(values.schedule, 'utf8');
      await checkSchedule(plans[0]!, JSON.parse(text) as Schedule, Number(values.tries), tally);
    } else {
      const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
      console.log(`seed ${seed}`);
      for (const plan of plans) {
        const own = new Tally();
        await checkPlan(plan, {
          seed,
          time: (Number(values.minutes) * 60_000) / plans.length,
          shrinkTime: Number(values.shrink) * 60_000,
          tally: own,
          out: console.log,
          ...(values.runs === undefined ? {} : { runs: Number(values.runs) }),
        }).finally(() => console.log(`${plan.name}: ${own}`));
      }
    }
  } catch (error) {
    console.error(error instanceof ModelFailure ? error.message : error);
    return 1;
  }
  return 0;
}
