import { DailyFile } from './daily-file.ts';
import { redactText, redactValue } from './redact.ts';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What a line is about, beyond its message. Secrets in it are masked, errors shown with their cause. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log extends Readonly<Record<LogLevel, (message: string, fields?: LogFields) => void>> {
  /** A log whose lines carry this name; level and files are shared. */
  child(name: string): Log;
  setLevel(level: LogLevel): void;
  /** Cheap test before costly fields are put together. */
  enabled(level: LogLevel): boolean;
  /** Writes what waits, within a deadline. */
  close(): Promise<void>;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** Folder of the daily files `cistern-YYYY-MM-DD.log` (UTC, a JSON object a line); without it only stderr is written. */
  readonly dir?: string | undefined;
  readonly retentionDays: number;
  /** Where the text lines go. Default: stderr. */
  readonly stream?: { write(text: string): unknown };
  /** ms since the epoch */
  readonly now?: () => number;
}

/** Identical lines beyond this many in a window are counted and told once at its end. */
const REPEATS = 5;
const WINDOW_MS = 10_000;
const MOST_KINDS = 1_000;
const TIME_LENGTH = '2026-11-22T18:05:01.123Z'.length;

interface Line {
  readonly time: number;
  readonly level: LogLevel;
  readonly name: string | undefined;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The application log: readable lines on stderr, the same as JSON in daily files. Secrets are masked here, so no caller can forget. */
export function createLog(options: LogOptions): Log {
  const root = new Root(options);
  return logOf(root, undefined);
}

function logOf(root: Root, name: string | undefined): Log {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) => root.log(level, name, message, fields);
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    trace: at('trace'),
    child: inner => logOf(root, name === undefined ? inner : `${name}.${inner}`),
    setLevel: level => root.setLevel(level),
    enabled: level => root.enabled(level),
    close: () => root.close(),
  };
}

class Root {
  readonly #stream: { write(text: string): unknown };
  readonly #now: () => number;
  readonly #file: DailyFile | undefined;
  #least: number;
  #seen = new Map<string, { line: Line; count: number }>();
  #window: NodeJS.Timeout | undefined;

  constructor({ level, dir, retentionDays, stream = process.stderr, now = Date.now }: LogOptions) {
    this.#least = LOG_LEVELS.indexOf(level);
    this.#stream = stream;
    // A desktop app's stderr may be a pipe whose reader is gone. There is nowhere left to say so, and no reason to end.
    if (stream === process.stderr && process.stderr.listenerCount('error') === 0) process.stderr.on('error', () => {});
    this.#now = now;
    if (dir !== undefined) {
      this.#file = new DailyFile(dir, retentionDays, now, problem => this.#stream.write(`${problem}\n`));
    }
  }

  setLevel(level: LogLevel): void {
    this.#least = LOG_LEVELS.indexOf(level);
  }

  enabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) <= this.#least;
  }

  log(level: LogLevel, name: string | undefined, message: string, fields: LogFields = {}): void {
    if (!this.enabled(level)) return;
    const safe = redactValue(fields) as Record<string, unknown>;
    const line: Line = { time: this.#now(), level, name, message: redactText(message), fields: safe };
    if (!this.#isRepeated(line)) this.#write(line);
  }

  async close(): Promise<void> {
    clearTimeout(this.#window);
    this.#endWindow();
    await this.#file?.close();
  }

  #write(line: Line): void {
    this.#stream.write(asText(line));
    this.#file?.add(asJson(line));
  }

  #isRepeated(line: Line): boolean {
    const kind = asText(line).slice(TIME_LENGTH);
    this.#window ??= setTimeout(() => this.#endWindow(), WINDOW_MS).unref();
    const seen = this.#seen.get(kind);
    if (seen !== undefined) return ++seen.count > REPEATS;
    if (this.#seen.size < MOST_KINDS) this.#seen.set(kind, { line, count: 1 });
    return false;
  }

  #endWindow(): void {
    this.#window = undefined;
    const seen = this.#seen;
    this.#seen = new Map();
    for (const { line, count } of seen.values()) {
      if (count <= REPEATS) continue;
      this.#write({ ...line, time: this.#now(), fields: { ...line.fields, repeated: count - REPEATS } });
    }
  }
}

function asText({ time, level, name, message, fields }: Line): string {
  const about = Object.entries(fields).map(([key, value]) => ` ${key}=${fieldText(value)}`);
  const text = `${name === undefined ? '' : `${name}: `}${message}${about.join('')}`;
  return `${new Date(time).toISOString()} ${level.toUpperCase().padEnd(5)} ${text.replace(CONTROL, escapeControl)}\n`;
}

function asJson({ time, level, name, message, fields }: Line): string {
  const head = { time: new Date(time).toISOString(), level, ...(name === undefined ? {} : { name }), message };
  return `${JSON.stringify({ ...fields, ...head })}\n`;
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@%+-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? String(value);
}

/** A name from outside must not start a line of its own or steer a terminal. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

function escapeControl(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
