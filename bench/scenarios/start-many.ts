import { join } from 'node:path';
import { Helper } from '../helper.ts';
import type { ManyObjects } from '../many-objects.ts';
import { median, startFigures } from './start.ts';
import type { Run } from './types.ts';

const STARTS = 3;
/** How long the last one runs on, so that its memory is that of a proxy that counts what is there, ms. */
const RUN_ON = 15_000;

/** On a cache with very many objects in it. */
export const startMany =
  (id: string, title: string, objects: number): Run =>
  async stage => {
    // The first start makes the folder what it is.
    await stage.startProxy();
    await stage.stopProxy();
    const maker = new Helper<ManyObjects, unknown>('./many-objects.ts', undefined);
    await maker.ask({ cacheDir: join(stage.path('proxy'), 'cache'), objects, bytesEach: 4096 });
    await maker.stop();
    const runs = [];
    for (let i = 0; i < STARTS; i++) {
      const proxy = await stage.startProxy();
      if (i === STARTS - 1) await new Promise(resolve => setTimeout(resolve, RUN_ON));
      runs.push(startFigures(proxy));
      await stage.stopProxy();
    }
    // CPU time would be that of counting, for as long as it ran.
    const figures = runs.map(({ ready_ms, peak_memory_mib }) => ({ ready_ms, peak_memory_mib }));
    const most = Math.max(...figures.map(({ peak_memory_mib }) => peak_memory_mib ?? Number.NaN));
    const { ready_ms } = median(runs);
    return [{ id, title, figures: { ready_ms: ready_ms!, ...(most > 0 ? { peak_memory_mib: most } : {}) } }];
  };
