import { byteRate } from '../figures.ts';
import { objects } from '../objects.ts';
import type { ProxyOptions } from '../proxy.ts';
import type { Also, Measured, Plan, Stage } from '../stage.ts';

/** Read first, so that what is measured does not include compiling the code. Too small to be fetched in parallel. */
const FIRST = objects('1m', 8, 'first');

export interface FreshOptions extends Also {
  readonly cache?: ProxyOptions['cache'];
}

/** By a proxy of its own with an empty cache, so that what is read is cold and the peak of memory is that of this reading. */
export async function measureFresh(stage: Stage, plan: Plan, options: FreshOptions = {}): Promise<Measured> {
  await stage.startProxy('fresh', options.cache);
  await stage.verify(FIRST, 4);
  const measured = await stage.measure(plan, options);
  await stage.stopProxy();
  await stage.clear('fresh');
  return measured;
}

type Ways<Name extends string> = Readonly<Record<Name, () => Promise<Measured>>>;

/**
 * Several ways to read the same, in turn, so that whatever else happens on the machine concerns all of them; of each, the
 * run in the middle.
 */
export async function inTurn<Name extends string>(rounds: number, ways: Ways<Name>): Promise<Record<Name, Measured>> {
  const names = Object.keys(ways) as Name[];
  const runs = names.map((): Measured[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, name] of names.entries()) runs[i]!.push(await ways[name]());
  }
  return Object.fromEntries(names.map((name, i) => [name, middle(runs[i]!)])) as Record<Name, Measured>;
}

function middle(runs: Measured[]): Measured {
  return runs.sort((a, b) => byteRate(a) - byteRate(b))[Math.floor(runs.length / 2)]!;
}
