// npm run bench: what Cistern does, alone and beside reading from the origin. docs/performance.md says what the lines mean.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Row } from './figures.ts';
import { findPinning, machineName, NOT_PINNED, type Pinning } from './machine.ts';
import { SCENARIOS, type Scenario } from './scenarios/index.ts';
import { Stage } from './stage.ts';
import { changesTables, figuresTables } from './table.ts';

interface Options {
  readonly only: readonly Scenario[];
  readonly secs: number;
  readonly json?: string;
  readonly compare?: Run;
  readonly profile?: string;
}

/** A JSON file. */
interface Run {
  readonly conditions: Conditions;
  readonly rows: readonly Row[];
}

interface Conditions {
  readonly date: string;
  readonly node: string;
  readonly machine: string;
  readonly placing: string;
  readonly seconds: number;
}

const NAMES = SCENARIOS.map(({ name }) => name).join(', ');

const folder = mkdtempSync(join(tmpdir(), 'cistern-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => process.exit(1));

const pinning = findPinning();
const options = parse();
const conditions = conditionsOf(options, pinning);
console.log(`Node ${conditions.node} on ${conditions.machine}; ${conditions.placing}; ${options.secs} s a line\n`);
try {
  const rows: Row[] = [];
  for (const scenario of options.only) rows.push(...(await runScenario(scenario)));
  report({ conditions, rows });
} catch (error) {
  console.error(`\nbench: ${(error as Error).message}`);
  process.exitCode = 1;
}

function parse(): Options {
  return new Command('npm run bench --')
    .description('Measures Cistern in front of an origin of its own, over loopback.')
    .addOption(
      new Option('--only <names>', `some of: ${NAMES}`).argParser(scenariosOf).default(SCENARIOS, 'all of them'),
    )
    .option(
      '--secs <n>',
      'how long each line is measured; one that reads each object once takes what it takes',
      secondsOf,
      3,
    )
    .option('--json <file>', 'write the figures, for a later --compare')
    .option('--compare <file>', 'show the change since the run that wrote this file', runOf)
    .option('--profile <folder>', 'write a CPU profile of the proxy for each scenario, which slows it')
    .parse()
    .opts<Options>();
}

async function runScenario({ name, pinned, ramMiB, run }: Scenario): Promise<Row[]> {
  process.stderr.write(`${name} …\n`);
  if (options.profile !== undefined) mkdirSync(options.profile, { recursive: true });
  const stage = await Stage.open({
    folder: join(folder, name),
    ramMiB,
    pinning: pinned ? pinning : NOT_PINNED,
    profile: options.profile === undefined ? undefined : resolve(options.profile, `${name}.cpuprofile`),
  });
  try {
    return await run(stage, options.secs);
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  } finally {
    await stage.close();
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}

function report(run: Run): void {
  console.log(`\n${figuresTables(run.rows)}`);
  if (process.platform !== 'linux') console.log('\nCPU and memory are read from /proc, which only Linux has.');
  if (options.compare) {
    const { conditions: then, rows } = options.compare;
    console.log(`\nChange since ${then.date}:\n\n${changesTables(run.rows, rows)}`);
    for (const key of ['node', 'machine', 'placing', 'seconds'] as const) {
      if (then[key] !== conditions[key]) console.log(`\nNot the same then: ${key} was ${then[key]}.`);
    }
  }
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(run, undefined, 2)}\n`);
}

function conditionsOf({ secs }: Options, where: Pinning): Conditions {
  return {
    date: new Date().toISOString(),
    node: process.version,
    machine: machineName(),
    placing:
      where.proxy === undefined
        ? `not pinned to cores: ${where.why}`
        : `proxy on core ${where.proxy}, load and origin on core ${where.load} (not pinned in cold and beside direct)`,
    seconds: secs,
  };
}

function scenariosOf(names: string): readonly Scenario[] {
  return names.split(',').map(name => {
    const scenario = SCENARIOS.find(known => known.name === name.trim());
    if (!scenario) {
      throw new InvalidArgumentError(`There is no ${name}. Known: ${NAMES}.`);
    }
    return scenario;
  });
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0)) throw new InvalidArgumentError('It has to be a number above 0.');
  return seconds;
}

function runOf(file: string): Run {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Run;
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
