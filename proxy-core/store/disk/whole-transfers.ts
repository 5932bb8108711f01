import fs from 'node:fs';

export type Done = (error: Error | null, count?: number) => void;

/** One read may bring less than is there: of a network volume, or where a signal came between. */
export function readAll(
  fd: number,
  buffer: Buffer,
  offset: number,
  length: number,
  position: number,
  done: Done,
): void {
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
export function writeAll(fd: number, buffer: Buffer, position: number, done: Done): void {
  const next = (put: number) => {
    fs.write(fd, buffer, put, buffer.length - put, position + put, (error, count) => {
      if (error) done(error);
      else if (count === 0 || put + count >= buffer.length) done(null, put + count);
      else next(put + count);
    });
  };
  next(0);
}

export function writeAllOf(fd: number, buffers: readonly Buffer[], position: number, done: Done): void {
  const size = buffers.reduce((sum, { length }) => sum + length, 0);
  fs.writev(fd, buffers, position, (error, count) => {
    if (error || count === size || count === 0) done(error, count);
    else
      writeAll(fd, Buffer.concat(buffers).subarray(count), position + count, (late, more = 0) =>
        done(late, count + more),
      );
  });
}
