import { relative } from 'node:path';
import type { Capacity } from '../disk/capacity.ts';
import { namesIn } from '../disk/leaves.ts';
import { type CheckOptions, ObjectCheck } from './check-object.ts';
import { objectsIn } from './object-files.ts';
import { inHand, type Pace } from './pace.ts';
import { Remover } from './remover.ts';
import type { Fault, VerifyCounts, VerifyEvent } from './types.ts';
import { type VerifyState, VerifyStateFile } from './verify-state.ts';
import type { Leaf, Walk } from './walk.ts';

export interface VerifyOptions extends Pick<CheckOptions, 'disk' | 'catalog' | 'extents' | 'pool'> {
  readonly cacheDir: string;
  readonly walk: Walk;
  /** A file that was damaged is gone. */
  readonly onCorrupt: () => void;
}

const TELL_EVERY = 1000;
const SAVE_EVERY = 2000;

/**
 * Reads everything below `buckets/` and checks it, repairs what it can, and then counts anew what is there. It goes on where an
 * earlier one was stopped, unless it is to begin from the start.
 */
export async function* verify(
  options: VerifyOptions,
  pace: Pace,
  { fromStart }: { readonly fromStart: boolean },
): AsyncGenerator<VerifyEvent> {
  const { disk, walk, cacheDir } = options;
  const file = new VerifyStateFile(disk, cacheDir);
  const earlier = fromStart ? undefined : await pace.step(() => file.read());
  const began = earlier?.began ?? new Date(disk.now()).toISOString();
  const report = new Report(options, earlier?.counts);
  let place = earlier?.place ?? '';
  const state = (): VerifyState => ({ began, place, counts: report.counts });
  const remover = new Remover(disk, pace);
  const check: CheckOptions = { ...options, pace, remover, onFile: report.onFile, onFault: report.onFault };
  const inLeaf = async (leaf: Leaf): Promise<string> => {
    const names = await pace.step(() => namesIn(disk.volume, leaf.path));
    const { objects, strange } = objectsIn(leaf.path, names);
    for (const name of strange)
      report.onFault({ what: 'unknown', detail: "not a file of the store's; left alone" }, `${leaf.path}/${name}`);
    for (const files of objects) {
      if (files.hasHead) report.objects++;
      await new ObjectCheck(check, files, leaf.folder).run();
    }
    if (objects.length === 0) await remover.folder(leaf.path);
    return leaf.place;
  };
  let [toldAt, savedAt] = [performance.now(), performance.now()];
  let through = false;
  try {
    yield report.progress('files', disk.capacity);
    for await (const done of inHand(walk.leaves(pace, await walk.folders(pace), place), inLeaf)) {
      place = done;
      yield* report.faults();
      const now = performance.now();
      if (now - savedAt > SAVE_EVERY) {
        savedAt = now;
        await pace.step(() => file.write(state()));
      }
      if (now - toldAt < TELL_EVERY) continue;
      toldAt = now;
      yield report.progress('files', disk.capacity);
    }
    yield report.progress('accounting', disk.capacity);
    const correction = await disk.capacity.recount();
    pace.signal.throwIfAborted();
    through = true;
    await pace.step(() => file.remove());
    yield { type: 'end', ...report.counts, began, ...(correction === undefined ? {} : { correction }) };
  } finally {
    // Where the volume does not take it now, the next one begins from what was saved before.
    if (!through && place !== '') await file.write(state()).catch(() => {});
  }
}

/** What has been found. */
class Report {
  objects: number;
  readonly #options: Pick<VerifyOptions, 'cacheDir' | 'onCorrupt'>;
  #files: number;
  #bytes: number;
  readonly #found: Record<Fault['what'], number>;
  #untold: Fault[] = [];

  constructor(options: Pick<VerifyOptions, 'cacheDir' | 'onCorrupt'>, earlier?: VerifyCounts) {
    this.#options = options;
    this.objects = earlier?.objects ?? 0;
    this.#files = earlier?.files ?? 0;
    this.#bytes = earlier?.disk_bytes ?? 0;
    const { damaged = 0, leftover = 0, unreadable = 0, unknown = 0 } = earlier ?? {};
    this.#found = { damaged, leftover, unreadable, unknown };
  }

  readonly onFile = (allocated: number): void => {
    this.#files++;
    this.#bytes += allocated;
  };

  readonly onFault = (fault: Omit<Fault, 'type' | 'path'>, path: string): void => {
    this.#found[fault.what]++;
    if (fault.what === 'damaged') this.#options.onCorrupt();
    this.#untold.push({ type: 'fault', path: relative(this.#options.cacheDir, path), ...fault });
  };

  faults(): Fault[] {
    return this.#untold.splice(0);
  }

  get counts(): VerifyCounts {
    return { objects: this.objects, files: this.#files, disk_bytes: this.#bytes, ...this.#found };
  }

  progress(stage: 'files' | 'accounting', { counted, bytes }: Capacity): VerifyEvent {
    return { type: 'progress', ...this.counts, ...(counted ? { total: bytes } : {}), stage };
  }
}
