import fs from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { isLocal } from './local-file-systems.ts';
import { Operations } from './operations.ts';
import { readAll, writeAll, writeAllOf } from './whole-transfers.ts';

/** A mode that a usual umask would take something from, which mkdir and open are subject to. */
const forOthers = (mode: number) => (mode & 0o077) !== 0;

/** The file operations that the cache needs, each with its deadline. */
export class Volume extends Operations {
  /** Files that could not be closed while nothing was submitted. */
  #unclosed: number[] = [];
  /** Folders about which the gate is being asked: what is to be done in them is still to come. */
  #asking = 0;
  /** As far as is known: true once it was asked for its free space. */
  #local = false;

  protected override get isBusy(): boolean {
    return this.#asking > 0 || super.isBusy;
  }

  protected override answered(): void {
    for (const fd of this.#unclosed.splice(0)) this.close(fd).catch(() => {});
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
      await this.runPastGate<void>(done => {
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
    return this.#local && !this.refuses ? fs.fstatSync(fd) : this.fstat(fd);
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
    if (this.gate) {
      this.#asking++;
      await this.gate.mayMake().finally(() => this.#asking--);
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
}
