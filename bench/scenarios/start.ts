import type { Figures } from '../figures.ts';
import { accountOf } from '../machine.ts';
import { objects } from '../objects.ts';
import type { ProxyProcess } from '../proxy.ts';
import type { Run } from './types.ts';

const STARTS = 5;

/** On an empty cache, and on one with something in it. */
export const start: Run = async stage => {
  const empty: Figures[] = [];
  for (let i = 0; i < STARTS; i++) {
    empty.push(startFigures(await stage.startProxy(`empty-${i}`)));
    await stage.stopProxy();
  }
  const asks = objects('1k', 1_000);
  await stage.startProxy();
  await stage.warm(asks);
  await stage.stopProxy();
  const full: Figures[] = [];
  for (let i = 0; i < STARTS; i++) {
    full.push(startFigures(await stage.startProxy()));
    if (i === 0) await stage.verify(asks);
    await stage.stopProxy();
  }
  return [
    { id: 'start-empty', title: 'start to ready, empty cache', figures: median(empty) },
    { id: 'start-1000', title: 'start to ready, 1,000 objects on disk', figures: median(full) },
  ];
};

export function startFigures(proxy: ProxyProcess): Figures {
  const account = accountOf(proxy.pid);
  return {
    ready_ms: proxy.readyMs,
    ...(account ? { cpu_ms: account.cpuSeconds * 1_000, peak_memory_mib: account.peakMiB } : {}),
  };
}

/** The run in the middle, by time. */
export function median(runs: Figures[]): Figures {
  return runs.sort((a, b) => a.ready_ms! - b.ready_ms!)[Math.floor(runs.length / 2)]!;
}
