/** How a kernel's own clock, by which it dates files, may lag behind the one that is read, ms. */
const FINE = 20;
/** SFTP, among others, knows times in whole seconds. */
const WHOLE_SECONDS = 1000;

/**
 * How far the clock of a volume is ahead of ours, from files written there: one that was written between two moments of our
 * clock bears a time of the volume's, cut down to what the volume knows of times. So each file tells no more than two
 * bounds. The estimate moves only where it is out of them, and no further than needed: it comes nearer to the truth each
 * time, and does not tremble where times are coarse. It begins at zero, so that clocks that can't be told apart are taken for one.
 */
export class VolumeClock {
  #ahead = 0;

  /** Milliseconds to add to our clock to get the volume's. */
  get ahead(): number {
    return this.#ahead;
  }

  /**
   * A file was written.
   * @param mtime what the volume says of when, ms
   * @param before our clock just before, ms
   * @param after our clock just after, ms
   */
  saw(mtime: number, before: number, after: number): void {
    const coarse = mtime % 1000 === 0 ? WHOLE_SECONDS : FINE;
    const least = mtime - after;
    const most = mtime + coarse - before;
    // Ours was set while the file was written: the next one tells.
    if (least > most) return;
    this.#ahead = Math.min(most, Math.max(least - FINE, this.#ahead));
  }
}
