import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Outlet } from '../../proxy-core/read/outlet.ts';
import type { Note } from '../../proxy-core/read/types.ts';

const MIB = 1 << 20;

function noteOf(): Note {
  return {
    outcome: 'HIT',
    detail: '',
    status: 0,
    bytesSent: 0,
    bytesFromCache: 0,
    objectSize: undefined,
    firstByteAt: 0,
    error: undefined,
    requestId: undefined,
    hostId: undefined,
  };
}

/** What the answer's body is, byte by byte. */
function bodyAt(from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = ((from + i) * 31 + ((from + i) >> 8)) & 0x7f;
  return bytes;
}

/** A server whose next request is answered by the test, and a client that reads when the test lets it. */
class Line {
  readonly res: ServerResponse;
  readonly note = noteOf();
  readonly out: Outlet;
  readonly client: Socket;
  readonly reader: Reader;
  /** How often each write's buffers were given back. */
  readonly released: number[] = [];
  #written = 0;

  private constructor(res: ServerResponse, client: Socket) {
    this.res = res;
    this.client = client;
    this.reader = new Reader(client);
    this.out = new Outlet(res, this.note);
  }

  static async open(): Promise<Line> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => {});
    onTestFinished(() => {
      client.destroy();
      server.closeAllConnections();
      server.close();
    });
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const [, res] = (await once(server, 'request')) as [unknown, ServerResponse];
    return new Line(res, client);
  }

  begin(length: number): void {
    this.out.begin(200, undefined, ['Content-Length', String(length)], length);
  }

  /** Writes the next bytes in so many pieces; whoever gets them back uses them for something else. */
  write(length: number, pieces = 1): void {
    const size = Math.max(1, Math.ceil(length / pieces));
    const parts: Buffer[] = [];
    for (let at = 0; at < length; at += size) parts.push(bodyAt(this.#written + at, Math.min(size, length - at)));
    this.#written += length;
    this.out.write(parts, length, this.#releaseOf(parts));
  }

  endWith(body: Buffer): void {
    this.out.endWith(200, ['Content-Length', String(body.length)], body);
  }

  #releaseOf(parts: Buffer[]): () => void {
    const index = this.released.push(0) - 1;
    return () => {
      this.released[index]!++;
      for (const part of parts) part.fill(0xee);
    };
  }

  get unreleased(): number {
    return this.released.filter(count => count === 0).length;
  }

  /** When the answer is through or cut, all has been given back, once. */
  async expectReleased(): Promise<void> {
    if (!this.res.closed) await once(this.res, 'close');
    expect(this.released.every(count => count === 1)).toBe(true);
  }
}

/** A client that reads only when it is told to. */
class Reader {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #length = 0;
  #head = -1;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Reads until so many bytes of the body have come, or the connection has ended. */
  async until(length: number): Promise<void> {
    if (this.#socket.closed || this.#bodyLength() >= length) return;
    await new Promise<void>(resolve => {
      const done = () => {
        this.#socket.pause();
        this.#socket.off('data', onData).off('close', done);
        resolve();
      };
      const onData = (chunk: Buffer) => {
        this.#chunks.push(chunk);
        this.#length += chunk.length;
        if (this.#bodyLength() >= length) done();
      };
      this.#socket.on('data', onData).on('close', done);
      this.#socket.resume();
    });
  }

  get body(): Buffer {
    return Buffer.concat(this.#chunks).subarray(Math.max(0, this.#head));
  }

  #bodyLength(): number {
    if (this.#head < 0) {
      const at = Buffer.concat(this.#chunks).indexOf('\r\n\r\n');
      if (at < 0) return -1;
      this.#head = at + 4;
    }
    return this.#length - this.#head;
  }
}

/** Resolves when nothing has moved for some turns of the event loop. */
async function quiet(): Promise<'quiet'> {
  for (let i = 0; i < 100; i++) await new Promise(setImmediate);
  return 'quiet';
}

describe('what is written to a client', () => {
  it('comes as it was, and is given back once, while the client reads on', async () => {
    const line = await Line.open();
    const length = 20 * MIB;
    line.begin(length);
    const reading = line.reader.until(length);
    for (let at = 0; at < length; at += MIB) {
      line.write(MIB, 1 + ((at / MIB) % 5));
      await line.out.room();
    }
    line.out.end();
    await reading;
    expect(line.reader.body.equals(bodyAt(0, length))).toBe(true);
    await line.expectReleased();
    expect([line.note.bytesSent, line.note.status, line.note.error]).toEqual([length, 200, undefined]);
  });

  it('goes to others before the bulk of it follows its first bytes', async () => {
    const line = await Line.open();
    line.begin(300_000);
    line.write(1000);
    let turns = 0;
    void new Promise(setImmediate).then(() => turns++);
    await line.out.room();
    expect(turns).toBe(1);
    line.write(199_000);
    expect(line.out.room()).toBeUndefined();
    line.write(100_000);
    line.out.end();
    await line.reader.until(300_000);
    await line.expectReleased();
  });

  it('is held, and no more is asked for, while the client does not read', async () => {
    const line = await Line.open();
    const length = 64 * MIB;
    line.begin(length);
    line.write(MIB);
    await line.reader.until(1000);
    // As much as the kernel's buffers take; then it has to wait.
    let written = MIB;
    while (written < length) {
      const room = line.out.room();
      if (room && (await Promise.race([room, quiet()])) === 'quiet') break;
      line.write(MIB);
      written += MIB;
    }
    expect(written).toBeLessThan(length);
    expect(line.unreleased).toBeGreaterThan(0);
    expect(line.unreleased).toBeLessThanOrEqual(3);
    const reading = line.reader.until(length);
    for (; written < length; written += MIB) {
      await line.out.room();
      line.write(MIB);
    }
    line.out.end();
    await reading;
    expect(line.reader.body.equals(bodyAt(0, length))).toBe(true);
    await line.expectReleased();
  });

  it.each(['leaves', 'resets'])('is given back once when the client %s in the middle', async how => {
    const line = await Line.open();
    line.begin(64 * MIB);
    let gone = 0;
    line.out.onGone(() => {
      gone++;
    });
    for (let i = 0; i < 20; i++) line.write(MIB, 1 + (i % 3));
    await line.reader.until(2 * MIB);
    const room = line.out.room();
    if (how === 'leaves') line.client.destroy();
    else line.client.resetAndDestroy();
    await room;
    await line.expectReleased();
    expect([line.out.gone, gone]).toEqual([true, 1]);
    // What comes after that goes nowhere.
    line.write(MIB, 3);
    expect(line.released.at(-1)).toBe(1);
    expect(line.out.room()).toBeUndefined();
    expect(line.note.bytesSent).toBe(20 * MIB);
  });

  it('still reaches a client that reads when the answer is cut behind it', async () => {
    const line = await Line.open();
    line.begin(64 * MIB);
    let written = 0;
    for (let room = line.out.room(); written < 32 * MIB; room = line.out.room()) {
      if (room && (await Promise.race([room, quiet()])) === 'quiet') break;
      line.write(MIB);
      written += MIB;
    }
    line.out.cut('no more');
    await line.reader.until(64 * MIB);
    expect(line.reader.body.equals(bodyAt(0, written))).toBe(true);
    await line.expectReleased();
  });

  it('is given back once when the answer is cut before it could go out', async () => {
    const line = await Line.open();
    line.begin(64 * MIB);
    for (let i = 0; i < 10; i++) line.write(MIB, 1 + (i % 3));
    line.out.cut('no more');
    line.write(MIB);
    await line.reader.until(64 * MIB);
    expect(line.reader.body.equals(bodyAt(0, line.reader.body.length))).toBe(true);
    await line.expectReleased();
    expect(line.note.error).toBe('no more');
  });

  it('is never taken for all, where less comes than was promised', async () => {
    const line = await Line.open();
    line.begin(3 * MIB);
    line.write(2 * MIB);
    line.out.end();
    await line.reader.until(3 * MIB);
    expect(line.reader.body.length).toBeLessThanOrEqual(2 * MIB);
    await line.expectReleased();
    expect(line.note.error).toContain(`${2 * MIB} of ${3 * MIB}`);
  });

  it('comes as it was and is given back once, whatever the client does', async () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({ do: fc.constant('write' as const), kib: fc.integer({ min: 1, max: 1500 }) }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), kib: fc.integer({ min: 1, max: 3000 }) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('turn' as const), kib: fc.constant(0) }) },
    );
    const ends = fc.constantFrom('end', 'cut', 'leave', 'reset');
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25, size: 'max' }),
        ends,
        fc.integer({ min: 1, max: 4 }),
        async (steps, how, pieces) => {
          const line = await Line.open();
          const { reader, client } = line;
          const length = steps.reduce((sum, { do: what, kib }) => sum + (what === 'write' ? kib << 10 : 0), 0);
          line.begin(length);
          let written = 0;
          for (const { do: what, kib } of steps) {
            if (what === 'write') line.write(kib << 10, pieces);
            if (what === 'write') written += kib << 10;
            else if (what === 'turn' || written === 0) await new Promise(setImmediate);
            else await reader.until(Math.min(written, reader.body.length + (kib << 10)));
          }
          if (how === 'end') {
            line.out.end();
            await reader.until(length);
            expect(reader.body.length).toBe(length);
          } else if (how === 'leave') client.destroy();
          else if (how === 'reset') client.resetAndDestroy();
          else line.out.cut('cut');
          expect(reader.body.equals(bodyAt(0, reader.body.length))).toBe(true);
          await line.expectReleased();
          client.destroy();
        },
      ),
      { numRuns: 40 },
    );
  }, 60_000);
});

describe('a whole answer in one go', () => {
  it.each([0, 1, 8192, 8193, 65_536, 5 * MIB])('of %i bytes comes as it was', async length => {
    const line = await Line.open();
    line.endWith(bodyAt(0, length));
    await line.reader.until(length);
    expect(line.reader.body.equals(bodyAt(0, length))).toBe(true);
    expect([line.note.status, line.note.bytesSent]).toEqual([200, length]);
  });
});
