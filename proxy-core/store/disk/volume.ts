import fs from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { isLocal } from './local-file-systems.ts';

/** The disk did not do an operation in time, or is not being asked at the moment because it kept missing its deadline. */
export class DiskUnavailable extends Error {
  override readonly name = 'DiskUnavailable';
}

/** The disk was not asked at all, for a reason that is known already. */
export class NotAsked extends DiskUnavailable {}

/** The cache folder can't be used at the moment. */
export class FolderClosed extends NotAsked {
  constructor() {
    super("the cache folder can't be used at the moment");
  }
}

/** What stands before a volume: the folder on it, which may not be the right one. */
export interface Gate {
  /** Nothing may be asked of the volume. */
  readonly closed: boolean;
  /** Asked before a folder is made; rejects where it would not be in the right one. */
  mayMake(): Promise<void>;
}

export interface VolumeOptions {
  /** Deadline of one operation, ms. */
  readonly deadline: number;
  /** Operations in libuv's hands at once; the pool must be several times larger (main/command/cistern.cjs). */
  readonly maxOutstanding?: number;
  readonly gate?: Gate;
  /** Told when the breaker opens (`reason`) or closes (`undefined`). */
  readonly onState?: (reason: string | undefined) => void;
}

/** A mode that a usual umask would take something from, which mkdir and open are subject to. */
const forOthers = (mode: number) => (mode & 0o077) !== 0;

type Done = (error: Error | null, count?: number) => void;

/** One read may bring less than is there: of a network volume, or where a signal came between. */
function readAll(fd: number, buffer: Buffer, offset: number, length: number, position: number, done: Done): void {
  const next = (got: number) => {
    fs.read(fd, buffer, offset + got, length - got, position + got, (error, count) => {
      if (error) done(error);
      else if (count === 0 || got + count >= length) done(null, got + count);
      else next(got + count);
    });
  };
  next(0);
}

/** One write may take less than it is given: what is left of a volume, or of a quota, and the next one says so. */
function writeAll(fd: number, buffer: Buffer, position: number, done: Done): void {
  const next = (put: number) => {
    fs.write(fd, buffer, put, buffer.length - put, position + put, (error, count) => {
      if (error) done(error);
      else if (count === 0 || put + count >= buffer.length) done(null, put + count);
      else next(put + count);
    });
  };
  next(0);
}

function writeAllOf(fd: number, buffers: readonly Buffer[], position: number, done: Done): void {
  const size = buffers.reduce((sum, { length }) => sum + length, 0);
  fs.writev(fd, buffers, position, (error, count) => {
    if (error || count === size || count === 0) done(error, count);
    else
      writeAll(fd, Buffer.concat(buffers).subarray(count), position + count, (late, more = 0) =>
        done(late, count + more),
      );
  });
}

const MISSES_TO_OPEN = 3;
const PROBE_EVERY = 2000;
const TICK = 50;

interface Operation {
  readonly start: (done: (error: Error | null, value?: unknown) => void) => void;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly late: ((value: unknown) => void) | undefined;
  readonly path: string | undefined;
  readonly due: number;
  state: 'waiting' | 'running' | 'settled';
}

/**
 * File operations with a bound on how many are under way and a deadline on each, so that a slow or hung volume costs
 * hits and never requests (design section 3, rule 5). A deadline does not free the blocked thread: after a few misses
 * a breaker refuses everything but one probe every 2 s, until an operation comes back.
 */
export class Volume {
  readonly #deadline: number;
  readonly #max: number;
  readonly #onState: ((reason: string | undefined) => void) | undefined;
  readonly #gate: Gate | undefined;
  readonly #waiting: Operation[] = [];
  readonly #pending = new Set<Operation>();
  /** Paths with an operation that has missed its deadline and not come back: one thread each is enough to lose. */
  readonly #stuck = new Set<string>();
  /** Files that could not be closed while nothing was submitted. */
  #unclosed: number[] = [];
  #outstanding = 0;
  /** Folders about which the gate is being asked: what is to be done in them is still to come. */
  #asking = 0;
  #misses = 0;
  /** As far as is known: true once it was asked for its free space. */
  #local = false;
  #open = false;
  #lastProbe = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: VolumeOptions) {
    this.#deadline = options.deadline;
    this.#max = options.maxOutstanding ?? 16;
    this.#onState = options.onState;
    this.#gate = options.gate;
  }

  /** False while the breaker or the gate refuses operations; true lets a probe through, too. */
  get available(): boolean {
    return !this.#gate?.closed && (!this.#open || performance.now() - this.#lastProbe > PROBE_EVERY);
  }

  /** Waits until every operation has come back. False when one has not by its deadline: then a thread is stuck, and with it the process. */
  async drained(): Promise<boolean> {
    const until = performance.now() + this.#deadline;
    while (this.#outstanding + this.#asking > 0 && performance.now() < until)
      await new Promise(resolve => setTimeout(resolve, 2));
    return this.#outstanding === 0;
  }

  /**
   * Runs one callback-style operation. Rejects with the system's error, or {@link DiskUnavailable}; in the latter case
   * `late` is called once, as soon as the operation holds nothing any more, with its value if it came to one.
   * While an operation on `path` is stuck, others on it are refused.
   */
  run<T>(
    start: (done: (error: Error | null, value?: T) => void) => void,
    late?: (value: T | undefined) => void,
    path?: string,
  ): Promise<T> {
    if (this.#gate?.closed) {
      late?.(undefined);
      return Promise.reject(new FolderClosed());
    }
    return this.#run(start, late, path);
  }

  #run<T>(
    start: (done: (error: Error | null, value?: T) => void) => void,
    late?: (value: T | undefined) => void,
    path?: string,
  ): Promise<T> {
    const now = performance.now();
    if (path !== undefined && this.#stuck.has(path)) {
      late?.(undefined);
      return Promise.reject(new NotAsked('the cache volume has not answered about this file yet'));
    }
    if (this.#open) {
      if (now - this.#lastProbe <= PROBE_EVERY) {
        late?.(undefined);
        return Promise.reject(new NotAsked('the cache volume is not answering'));
      }
      this.#lastProbe = now;
    }
    return new Promise<T>((resolve, reject) => {
      const operation: Operation = {
        start: start as Operation['start'],
        resolve: resolve as (value: unknown) => void,
        reject,
        late: late as ((value: unknown) => void) | undefined,
        path,
        due: now + this.#deadline,
        state: 'waiting',
      };
      this.#pending.add(operation);
      this.#timer ??= setInterval(() => this.#expire(), TICK).unref();
      if (this.#outstanding < this.#max) this.#begin(operation);
      else this.#waiting.push(operation);
    });
  }

  /** @param mode of a new file; where it lets others in, whatever the umask says */
  async open(path: string, flags: string, mode = 0o600): Promise<number> {
    const fd = await this.run<number>(
      done => fs.open(path, flags, mode, done),
      late => {
        if (late === undefined) return;
        fs.close(late, () => {});
        // Nobody waits for a new file that came too late.
        if (flags.includes('x')) this.unlink(path).catch(() => {});
      },
      path,
    );
    try {
      if (forOthers(mode)) await this.run<void>(done => fs.fchmod(fd, mode, done));
      return fd;
    } catch (error) {
      this.close(fd).catch(() => {});
      throw error;
    }
  }

  /** Also past a closed gate. A file that can't be closed now is closed when the volume answers again. */
  async close(fd: number): Promise<void> {
    let begun = false;
    try {
      await this.#run<void>(done => {
        begun = true;
        fs.close(fd, done);
      });
    } catch (error) {
      if (!begun) this.#unclosed.push(fd);
      throw error;
    }
  }

  /** Reads until `length` bytes are there or the file ends; returns the count. `late` is called when the buffer is free again after a missed deadline. */
  read(
    fd: number,
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    late?: () => void,
  ): Promise<number> {
    return this.run<number>(done => readAll(fd, buffer, offset, length, position, done), late);
  }

  /** Writes all of it; fewer bytes only with an error. */
  write(fd: number, buffer: Buffer, position: number): Promise<number> {
    return this.run<number>(done => writeAll(fd, buffer, position, done));
  }

  writev(fd: number, buffers: readonly Buffer[], position: number, late?: () => void): Promise<number> {
    return this.run<number>(done => writeAllOf(fd, buffers, position, done), late);
  }

  readFile(path: string): Promise<Buffer> {
    return this.run<Buffer>(done => fs.readFile(path, done), undefined, path);
  }

  /** @param late called when a write that missed its deadline has come to its end */
  async writeFile(path: string, data: Buffer | string, mode: number, late?: () => void): Promise<void> {
    await this.run<void>(done => fs.writeFile(path, data, { mode }, done), late, path);
    if (forOthers(mode)) await this.#chmod(path, mode);
  }

  readdir(path: string): Promise<string[]> {
    return this.run<string[]>(done => fs.readdir(path, done), undefined, path);
  }

  stat(path: string): Promise<fs.Stats> {
    return this.run<fs.Stats>(done => fs.stat(path, done), undefined, path);
  }

  fstat(fd: number): Promise<fs.Stats> {
    return this.run<fs.Stats>(done => fs.fstat(fd, done));
  }

  /**
   * The same where it is asked for with every read. A local file system has the attributes of an open file in memory: then
   * they are had at once, for an eighth of what a thread's turn costs.
   */
  async attributes(fd: number): Promise<fs.Stats> {
    return this.#local && !this.#open ? fs.fstatSync(fd) : this.fstat(fd);
  }

  async statfs(path: string): Promise<fs.StatsFs> {
    const found = await this.run<fs.StatsFs>(done => fs.statfs(path, done), undefined, path);
    this.#local = isLocal(found);
    return found;
  }

  rename(from: string, to: string): Promise<void> {
    return this.run<void>(done => fs.rename(from, to, done));
  }

  link(from: string, to: string): Promise<void> {
    return this.run<void>(done => fs.link(from, to, done));
  }

  unlink(path: string): Promise<void> {
    return this.run<void>(done => fs.unlink(path, done), undefined, path);
  }

  /** Makes the folder and those above it; returns how many were made. */
  async mkdir(path: string, mode: number): Promise<number> {
    if (this.#gate) {
      this.#asking++;
      await this.#gate.mayMake().finally(() => this.#asking--);
    }
    const first = await this.run<string | undefined>(done => fs.mkdir(path, { recursive: true, mode }, done)).catch(
      async error => {
        // Node says so of a read-only volume, too: it takes the error of a look at the folder for the one of making it.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') await this.#tryToMake(path, mode);
        throw error;
      },
    );
    if (first === undefined) return 0;
    const made = relative(dirname(first), path).split(sep);
    if (forOthers(mode))
      for (let i = 1; i <= made.length; i++) await this.#chmod(join(dirname(first), ...made.slice(0, i)), mode);
    return made.length;
  }

  /** Rejects with what the system says of making the uppermost folder that is missing, for `path`. */
  async #tryToMake(path: string, mode: number): Promise<void> {
    const above = dirname(path);
    const isThere =
      above === path ||
      (await this.stat(above).then(
        () => true,
        () => false,
      ));
    if (!isThere) return this.#tryToMake(above, mode);
    await this.run<void>(done => fs.mkdir(path, mode, done));
  }

  #chmod(path: string, mode: number): Promise<void> {
    return this.run<void>(done => fs.chmod(path, mode, done), undefined, path);
  }

  /** @param seconds when it was read and changed last */
  utimes(path: string, seconds: number): Promise<void> {
    return this.run<void>(done => fs.utimes(path, seconds, seconds, done), undefined, path);
  }

  rmdir(path: string): Promise<void> {
    return this.run<void>(done => fs.rmdir(path, done), undefined, path);
  }

  remove(path: string): Promise<void> {
    return this.run<void>(done => fs.rm(path, { recursive: true, force: true }, done));
  }

  #begin(operation: Operation): void {
    operation.state = 'running';
    this.#outstanding++;
    operation.start((error, value) => this.#done(operation, error, value));
  }

  #done(operation: Operation, error: Error | null, value: unknown): void {
    this.#outstanding--;
    this.#misses = 0;
    if (this.#open) {
      this.#open = false;
      this.#onState?.(undefined);
    }
    for (const fd of this.#unclosed.splice(0)) this.close(fd).catch(() => {});
    if (operation.state === 'settled') {
      if (operation.path !== undefined) this.#stuck.delete(operation.path);
      operation.late?.(error ? undefined : value);
    } else {
      this.#settle(operation);
      if (error) operation.reject(error);
      else operation.resolve(value);
    }
    while (this.#outstanding < this.#max) {
      const next = this.#waiting.shift();
      if (!next) break;
      if (next.state === 'waiting') this.#begin(next);
    }
  }

  #settle(operation: Operation): void {
    operation.state = 'settled';
    this.#pending.delete(operation);
    if (this.#pending.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #expire(): void {
    const now = performance.now();
    for (const operation of this.#pending) {
      if (operation.due > now) continue;
      const began = operation.state === 'running';
      this.#settle(operation);
      if (!began) operation.late?.(undefined);
      else if (operation.path !== undefined) this.#stuck.add(operation.path);
      operation.reject(new DiskUnavailable(`the cache volume did not answer within ${this.#deadline} ms`));
      // One that waited in vain for a thread is a miss, too: else a volume with all threads stuck would cost a deadline each time.
      this.#misses++;
      if (!this.#open && this.#misses >= MISSES_TO_OPEN) {
        this.#open = true;
        this.#lastProbe = now;
        this.#onState?.(`the cache volume does not answer within ${this.#deadline} ms; reads go to S3 until it does`);
      }
    }
  }
}
