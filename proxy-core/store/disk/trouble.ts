import { codeOf, inWords } from './disk-error.ts';
import type { Unreadable } from './left-behind.ts';
import { NotAsked } from './operations.ts';

export interface TroubleOptions {
  readonly counters: { disk_errors: number };
  readonly onProblem: (key: string, message: string | undefined) => void;
  readonly onEvent: (key: string, message: string) => void;
}

/** What can't be read for so long stays so, ms. */
const LASTING = 10_000;

/**
 * Operations of the disk that failed: counted, and told to a person, each kind of trouble once, whichever files meet it. Where
 * the disk was not even asked, the volume or the folder as a whole is shown as a problem already.
 */
export class Trouble {
  readonly #options: TroubleOptions;
  #readOnly = false;
  #unreadableSince: number | undefined;

  constructor(options: TroubleOptions) {
    this.#options = options;
  }

  /** Nothing can be written, so nothing has to be tried. */
  get readOnly(): boolean {
    return this.#readOnly;
  }

  reading(error: Error): void {
    this.#failed('read', 'what is cached could not be read and comes from S3', error);
  }

  writing(error: Error): void {
    this.#failed('write', 'the cache could not be written', error);
  }

  /** A heartbeat, which writes once a second, and so says for all whether that can be done. */
  beat(error: Error | undefined): void {
    this.#readOnly = error !== undefined && codeOf(error) === 'EROFS';
    if (!(error instanceof NotAsked))
      this.#options.onProblem('cache_writes', error && `the cache can't be written at the moment: ${inWords(error)}`);
  }

  /** What the other processes tell has been read, but for what is in this file. */
  others(unreadable: Unreadable | undefined): void {
    const now = performance.now();
    this.#unreadableSince = unreadable === undefined ? undefined : (this.#unreadableSince ?? now);
    const lasts = this.#unreadableSince !== undefined && now - this.#unreadableSince >= LASTING;
    this.#options.onProblem('instances', lasts && unreadable ? untold(unreadable) : undefined);
  }

  /** Each kind is an event of its own, so that two that take turns don't fill the log. */
  #failed(what: string, message: string, error: Error): void {
    this.#options.counters.disk_errors++;
    if (!(error instanceof NotAsked))
      this.#options.onEvent(`${what} ${codeOf(error) ?? error.name}`, `${message}: ${inWords(error)}`);
  }
}

function untold({ path, error }: Unreadable): string {
  const why = inWords(error).replace(/\.?$/, '.');
  return `how large the cache is can't be told, so that nothing is stored or evicted, for ${path} can't be read: ${why} If that can't be mended, delete the file.`;
}
