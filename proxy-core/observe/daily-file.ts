import { join } from 'node:path';
import { appendTo, dayOf, lastDayToRemove, removeOldFiles, withinDeadline } from './log-files.ts';

const MOST_WAITING = 4 * 1024 * 1024;
const CLOSE_DEADLINE_MS = 2_000;
/**
 * Chars given to the file at once. It may be the file of other processes, too: less than 512 KiB is one `write`, which nobody
 * else's comes into the middle of.
 */
const AT_ONCE = 128 * 1024;
const FILE_NAME = /^cistern-(\d{4}-\d\d-\d\d)\.log$/;

/**
 * The application log's files, one a day (UTC). Lines are gathered while a write is under way, so that no more than one
 * is; what waits is bounded, and a disk that fails costs lines, which `tell` is told once and again when it is over.
 */
export class DailyFile {
  readonly #dir: string;
  readonly #retentionDays: number;
  readonly #now: () => number;
  readonly #tell: (problem: string) => void;
  #waiting = '';
  #dropped = 0;
  #prunedOn = '';
  #failing = false;
  #writing: Promise<void> | undefined;

  constructor(dir: string, retentionDays: number, now: () => number, tell: (problem: string) => void) {
    this.#dir = dir;
    this.#retentionDays = retentionDays;
    this.#now = now;
    this.#tell = tell;
  }

  add(line: string): void {
    if (this.#waiting.length + line.length > MOST_WAITING) this.#dropped++;
    else this.#waiting += line;
    this.#writing ??= this.#drain();
  }

  async close(): Promise<void> {
    await withinDeadline(this.#writing, CLOSE_DEADLINE_MS);
  }

  async #drain(): Promise<void> {
    while (this.#waiting !== '') {
      const text = wholeLines(this.#waiting);
      this.#waiting = this.#waiting.slice(text.length);
      try {
        await appendTo(join(this.#dir, `cistern-${dayOf(this.#now())}.log`), text);
        if (this.#dropped > 0) this.#tell(`${this.#dropped} lines are missing from the application log.`);
        this.#dropped = 0;
        this.#failing = false;
        await this.#prune();
      } catch (error) {
        this.#dropped += text.split('\n').length - 1;
        if (!this.#failing) this.#tell(`The application log can't be written: ${(error as Error).message}.`);
        this.#failing = true;
      }
    }
    this.#writing = undefined;
  }

  async #prune(): Promise<void> {
    const now = this.#now();
    if (this.#prunedOn === dayOf(now)) return;
    this.#prunedOn = dayOf(now);
    try {
      await removeOldFiles(this.#dir, FILE_NAME, lastDayToRemove(now, this.#retentionDays));
    } catch (error) {
      this.#tell(`Old application logs can't be removed: ${(error as Error).message}.`);
    }
  }
}

/** As many of the first lines as go into one write; at least one. */
function wholeLines(text: string): string {
  if (text.length <= AT_ONCE) return text;
  const end = text.lastIndexOf('\n', AT_ONCE - 1);
  return text.slice(0, (end < 0 ? text.indexOf('\n', AT_ONCE) : end) + 1);
}
