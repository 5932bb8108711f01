import fs, { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BufferPool, PIECE } from '../../../proxy-core/store/buffer-pool.ts';
import { DamagedExtent, ExtentFile } from '../../../proxy-core/store/disk/extent-file.ts';
import { DiskUnavailable } from '../../../proxy-core/store/disk/operations.ts';
import { Volume } from '../../../proxy-core/store/disk/volume.ts';
import { afterTest, tempFolder, until } from '../helpers.ts';

const DEADLINE = 100;

type Done = (error: Error | null, value?: unknown) => void;

/** Operations that end when the test says so. */
class Hung {
  readonly done: Done[] = [];
  readonly late: unknown[] = [];

  on(volume: Volume, path?: string): Promise<unknown> {
    const running = volume.run<unknown>(
      done => this.done.push(done),
      value => this.late.push(value),
      path,
    );
    running.catch(() => {});
    return running;
  }
}

let states: (string | undefined)[];

beforeEach(() => {
  states = [];
});

function create(options: { maxOutstanding?: number; deadline?: number } = {}): Volume {
  return new Volume({ deadline: DEADLINE, onState: state => states.push(state), ...options });
}

describe('the deadline of a disk operation', () => {
  it('rejects it as unavailable, and hands over what it comes to later exactly once', async () => {
    const volume = create();
    const hung = new Hung();
    await expect(hung.on(volume)).rejects.toBeInstanceOf(DiskUnavailable);
    expect(hung.late).toEqual([]);
    hung.done[0]?.(null, 'value');
    expect(hung.late).toEqual(['value']);
  });

  it('passes the system’s own error on', async () => {
    await expect(create().readFile('/no/such/file')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('counts from the call, the wait for a free thread included, and then never begins', async () => {
    const volume = create({ maxOutstanding: 1 });
    const hung = new Hung();
    const first = hung.on(volume);
    const second = hung.on(volume);
    await expect(first).rejects.toBeInstanceOf(DiskUnavailable);
    await expect(second).rejects.toBeInstanceOf(DiskUnavailable);
    expect(hung.late).toEqual([undefined]);
    hung.done[0]?.(null, 1);
    expect(hung.done).toHaveLength(1);
    expect(hung.late).toEqual([undefined, 1]);
  });

  it('gives a waiting operation the thread that another leaves', async () => {
    const volume = create({ maxOutstanding: 1, deadline: 5000 });
    const hung = new Hung();
    const first = hung.on(volume);
    const second = hung.on(volume);
    hung.done[0]?.(null, 'a');
    expect(await first).toBe('a');
    hung.done[1]?.(null, 'b');
    expect(await second).toBe('b');
  });

  it('never has more under way than it may', async () => {
    const volume = create({ maxOutstanding: 3, deadline: 5000 });
    let now = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 50 }, () =>
        volume.run<void>(done => {
          most = Math.max(most, ++now);
          setImmediate(() => {
            now--;
            done(null);
          });
        }),
      ),
    );
    expect(most).toBe(3);
  });
});

describe('the breaker', () => {
  it('opens after three misses in a row, refuses without trying, and closes when one comes back', async () => {
    const volume = create();
    const hung = new Hung();
    await Promise.allSettled([hung.on(volume), hung.on(volume), hung.on(volume)]);
    expect(states).toEqual([expect.stringContaining(`${DEADLINE} ms`)]);
    expect(volume.available).toBe(false);
    await expect(hung.on(volume)).rejects.toBeInstanceOf(DiskUnavailable);
    expect(hung.done).toHaveLength(3);
    expect(hung.late).toEqual([undefined]);
    hung.done[0]?.(null, 'late');
    expect(states).toEqual([expect.any(String), undefined]);
    expect(volume.available).toBe(true);
    await expect(volume.stat('/')).resolves.toBeDefined();
  });

  it('stays closed when operations that miss and operations that come back alternate', async () => {
    const volume = create();
    const hung = new Hung();
    for (let i = 0; i < 4; i++) {
      await hung.on(volume).catch(() => {});
      await volume.stat('/');
    }
    expect(states).toEqual([]);
  });

  it('lets one probe through after a while, which closes it', async () => {
    const volume = create();
    const hung = new Hung();
    await Promise.allSettled([hung.on(volume), hung.on(volume), hung.on(volume)]);
    const clock = vi.spyOn(performance, 'now');
    afterTest(() => clock.mockRestore());
    const later = performance.now() + 2500;
    clock.mockImplementation(() => later);
    expect(volume.available).toBe(true);
    const probe = hung.on(volume);
    await expect(volume.stat('/')).rejects.toBeInstanceOf(DiskUnavailable);
    expect(hung.done).toHaveLength(4);
    hung.done[3]?.(null, 'back');
    expect(await probe).toBe('back');
    expect(states.at(-1)).toBeUndefined();
  });

  it('opens when every thread is stuck, though nothing new can miss on one', async () => {
    const volume = create({ maxOutstanding: 2 });
    const hung = new Hung();
    await Promise.allSettled([hung.on(volume), hung.on(volume)]);
    expect(states).toEqual([]);
    await expect(hung.on(volume)).rejects.toBeInstanceOf(DiskUnavailable);
    expect(states).toHaveLength(1);
    expect(hung.done).toHaveLength(2);
  });

  it('closes the files that could not be closed meanwhile, once the volume answers', async () => {
    const volume = create();
    const hung = new Hung();
    const fd = openSync('/dev/null', 'r');
    await Promise.allSettled([hung.on(volume), hung.on(volume), hung.on(volume)]);
    await expect(volume.close(fd)).rejects.toBeInstanceOf(DiskUnavailable);
    await expect(isOpen(fd)).toBe(true);
    hung.done[0]?.(null);
    await until(() => !isOpen(fd));
  });

  it('loses one thread to a path that hangs, not one for each who asks for it', async () => {
    const volume = create();
    const hung = new Hung();
    await hung.on(volume, '/cache/one').catch(() => {});
    await expect(hung.on(volume, '/cache/one')).rejects.toBeInstanceOf(DiskUnavailable);
    expect(hung.done).toHaveLength(1);
    expect(hung.late).toEqual([undefined]);
    hung.done[0]?.(null, 1);
    const again = hung.on(volume, '/cache/one');
    hung.done[1]?.(null, 'now');
    expect(await again).toBe('now');
  });
});

describe('buffers of reads', () => {
  const binding = { hash: 'ab'.repeat(32), version: 'cd'.repeat(16) };

  it('come back once each when their reads come back late', async () => {
    const { encodeExtent } = await import('../../../proxy-core/store/disk/extent-writer.ts');
    const path = join(tempFolder(), 'extent');
    const span = { start: 0, end: PIECE - 1 };
    writeFileSync(path, await encodeExtent(binding, span, Buffer.alloc(PIECE, 7), false));
    const volume = create();
    const pool = new BufferPool(8 * PIECE);
    const file = await ExtentFile.open(volume, path, binding, span);
    const held: (() => void)[] = [];
    const run = vi
      .spyOn(volume, 'run')
      .mockImplementation(((start: (done: Done) => void, late: () => void) =>
        Volume.prototype.run.call(
          volume,
          done => start((error, value) => held.push(() => done(error, value as undefined))),
          late,
        )) as typeof volume.run);
    const reads = await Promise.allSettled([file.read(span, pool), file.read(span, pool)]);
    for (const read of reads) expect(read).toMatchObject({ reason: expect.any(DiskUnavailable) });
    await until(() => held.length === 2);
    expect(pool.bytesOut).toBe(2 * PIECE);
    for (const release of held) release();
    expect(pool.bytesOut).toBe(0);
    run.mockRestore();
    const content = await file.read(span, pool);
    content.release();
    expect(pool.bytesOut).toBe(0);
    file.close();
  });

  it('come back when the file turns out to be damaged', async () => {
    const { encodeExtent } = await import('../../../proxy-core/store/disk/extent-writer.ts');
    const path = join(tempFolder(), 'extent');
    const span = { start: 0, end: PIECE - 1 };
    const bytes = await encodeExtent(binding, span, Buffer.alloc(PIECE, 7), false);
    bytes[500_000]! ^= 1;
    writeFileSync(path, bytes);
    const pool = new BufferPool(8 * PIECE);
    const file = await ExtentFile.open(create(), path, binding, span);
    await expect(file.read(span, pool)).rejects.toBeInstanceOf(DamagedExtent);
    expect(pool.bytesOut).toBe(0);
    file.close();
  });
});

function isOpen(fd: number): boolean {
  try {
    readFileSync(`/proc/self/fdinfo/${fd}`);
    return true;
  } catch {
    return false;
  }
}

describe('what the system does in pieces', () => {
  afterEach(() => vi.restoreAllMocks());

  it('is read to the end', async () => {
    const path = join(tempFolder(), 'f');
    writeFileSync(path, 'all of it');
    const volume = create({ deadline: 5000 });
    const fd = await volume.open(path, 'r');
    const real = fs.read.bind(fs) as (...args: unknown[]) => void;
    vi.spyOn(fs, 'read').mockImplementation(((...args: unknown[]) => {
      args[3] = Math.min(args[3] as number, 2);
      real(...args);
    }) as typeof fs.read);
    const buffer = Buffer.alloc(20);
    expect(await volume.read(fd, buffer, 1, 9, 0)).toBe(9);
    expect(buffer.toString('latin1', 1, 10)).toBe('all of it');
    // A file that ends earlier.
    expect(await volume.read(fd, buffer, 0, 20, 4)).toBe(5);
    await volume.close(fd);
  });

  it('is written to the end, or fails with what the system says of the rest', async () => {
    const path = join(tempFolder(), 'f');
    const volume = create({ deadline: 5000 });
    const fd = await volume.open(path, 'w');
    const write = fs.write.bind(fs) as (...args: unknown[]) => void;
    vi.spyOn(fs, 'write').mockImplementation(((...args: unknown[]) => {
      args[3] = Math.min(args[3] as number, 3);
      write(...args);
    }) as typeof fs.write);
    vi.spyOn(fs, 'writev').mockImplementation(((fd: number, [first]: Buffer[], at: number, done: Done) => {
      write(fd, first, 0, 1, at, done);
    }) as unknown as typeof fs.writev);
    expect(await volume.write(fd, Buffer.from('0123456789'), 0)).toBe(10);
    expect(await volume.writev(fd, [Buffer.from('abc'), Buffer.from('defgh')], 10)).toBe(8);
    expect(readFileSync(path, 'latin1')).toBe('0123456789abcdefgh');
    vi.mocked(fs.write).mockImplementation(((...args: unknown[]) => {
      const done = args[5] as Done;
      if ((args[4] as number) < 20) write(args[0], args[1], args[2], 1, args[4], done);
      else done(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
    }) as unknown as typeof fs.write);
    await expect(volume.write(fd, Buffer.from('0123456789'), 18)).rejects.toMatchObject({ code: 'ENOSPC' });
    await volume.close(fd);
  });
});
