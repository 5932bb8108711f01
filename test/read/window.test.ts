import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Taken, Window } from '../../proxy-core/read/window.ts';
import { BufferPool, PIECE, type Piece } from '../../proxy-core/store/buffer-pool.ts';

const OBJECT = 12 * PIECE;
const object = Buffer.alloc(OBJECT, Buffer.from(Array.from({ length: 997 }, (_, i) => (i * 7) & 0xff)));

type Step =
  | { do: 'append'; size: number }
  | { do: 'trim' | 'take'; at: number; max: number }
  | { do: 'release' | 'starve' | 'feed' | 'clear' };

const size = fc.oneof(fc.integer({ min: 1, max: 300_000 }), fc.integer({ min: 1, max: 3 * PIECE }), fc.constant(PIECE));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('append' as const), size }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('trim' as const, 'take' as const),
      // How far behind the end; now and then outside of what there is.
      at: fc.integer({ min: -10, max: 4 * PIECE }),
      max: fc.integer({ min: 1, max: 2 * PIECE }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('release' as const, 'starve' as const, 'feed' as const) }) },
);

interface Span {
  start: number;
  end: number;
}

/** A window and all who use the same memory budget: readers who hold what they took, others who take all that is left. */
class Scene {
  readonly pool = new BufferPool(6 * PIECE);
  readonly window: Window;
  readonly pieces: Span[] = [];
  /** The budget may have been spent when a byte came. */
  wasShort = false;
  readonly #first: number;
  readonly #last: number;
  readonly #held: { at: number; taken: Taken }[] = [];
  readonly #others: Piece[] = [];
  #position: number;

  constructor(first: number, last: number, kept = true) {
    this.#first = first;
    this.#last = last;
    this.#position = first;
    this.window = new Window({
      start: first,
      end: last,
      pool: kept ? this.pool : undefined,
      onMissed: () => {},
      onPiece: (piece, start, length) => {
        this.pieces.push({ start, end: start + length - 1 });
        expect(piece.bytes.subarray(0, length).equals(object.subarray(start, start + length))).toBe(true);
      },
    });
  }

  run(next: Step): void {
    const { window } = this;
    if (next.do === 'append') this.append(next.size);
    else if (next.do === 'trim') {
      const from = this.#position - next.at;
      const boundary = Math.round(from / PIECE) * PIECE;
      this.trim(next.max % 2 === 0 ? from : boundary + ((next.max >> 1) % 3) - 1);
    } else if (next.do === 'take') this.take(this.#position - next.at, next.max);
    else if (next.do === 'release') this.#releaseOne();
    else if (next.do === 'starve') {
      for (let piece = this.pool.take(); piece; piece = this.pool.take()) {
        // Whoever reads from memory that is not theirs any more sees this.
        piece.bytes.fill(0xee);
        this.#others.push(piece);
      }
    } else if (next.do === 'feed') for (const piece of this.#others.splice(0)) piece.release();
    expect(window.end).toBe(this.#position);
    expect(window.start).toBeLessThanOrEqual(window.end);
    for (const { at, taken } of this.#held) expectRight(at, taken);
  }

  append(size: number): void {
    const chunk = Buffer.from(object.subarray(this.#position, Math.min(this.#last + 1, this.#position + size)));
    if (chunk.length === 0) return;
    // Only the last quarter of the budget is out of reach for what arrives.
    if (this.pool.bytesOut + PIECE + chunk.length > 4.5 * PIECE) this.wasShort = true;
    this.window.append(chunk);
    this.#position += chunk.length;
    // The network uses its buffer again.
    chunk.fill(0xdd);
  }

  trim(from: number): void {
    const { start, end } = this.window;
    this.window.trim(from);
    expect(this.window.end).toBe(end);
    expect(this.window.start).toBeGreaterThanOrEqual(start);
    // Nothing from there on is let go of, and no more than a piece of what is before is held.
    expect(this.window.start).toBeLessThanOrEqual(Math.max(from, start));
    if (from < end) expect(from - this.window.start).toBeLessThan(PIECE);
    this.take(Math.max(from, this.window.start), 1000);
  }

  take(at: number, max: number): void {
    const taken = this.window.take(at, max);
    const there = at >= this.window.start && at < this.#position;
    expect(taken !== undefined).toBe(there);
    if (!taken) return;
    expect(taken.length).toBe(Math.min(max, this.#position - at));
    expect(taken.pieces.reduce((sum, piece) => sum + piece.length, 0)).toBe(taken.length);
    this.#held.push({ at, taken });
  }

  /** All is over: whoever holds something gives it back, in this order or the other. */
  end(readersFirst: boolean): void {
    this.window.close();
    if (readersFirst) while (this.#releaseOne());
    this.window.clear();
    this.run({ do: 'feed' });
    while (this.#releaseOne());
    expect(this.pool.bytesOut).toBe(0);
  }

  /** Runs of bytes that came and were handed on in no piece. */
  get loose(): Span[] {
    const runs: Span[] = [];
    let at = this.#first;
    for (const { start, end } of [...this.pieces, { start: this.#position, end: this.#position }]) {
      expect(start).toBeGreaterThanOrEqual(at);
      if (start > at) runs.push({ start: at, end: start - 1 });
      at = end + 1;
    }
    return runs;
  }

  get position(): number {
    return this.#position;
  }

  #releaseOne(): boolean {
    const next = this.#held.shift();
    if (next) expectRight(next.at, next.taken);
    next?.taken.release();
    return next !== undefined;
  }
}

function expectRight(at: number, { pieces, length }: Taken): void {
  expect(Buffer.concat(pieces).equals(object.subarray(at, at + length))).toBe(true);
}

const span = fc
  .tuple(fc.nat(3 * PIECE), fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.nat(8 * PIECE)))
  .map(([start, length]): Span => ({ start, end: start + length }));

describe('the window of a flight', () => {
  it('gives the bytes that arrived, whatever the chunks and whoever is short of memory, and gives all memory back', () => {
    fc.assert(
      fc.property(
        span,
        fc.array(step, { maxLength: 40, size: 'max' }),
        fc.boolean(),
        ({ start, end }, steps, readersFirst) => {
          const scene = new Scene(start, end);
          for (const next of steps) scene.run(next);
          scene.end(readersFirst);
        },
      ),
      { numRuns: 120 },
    );
  }, 60_000);

  it('hands on every byte once, in order and within one MiB of the object, but for runs that came while memory was short', () => {
    fc.assert(
      fc.property(span, fc.array(step, { maxLength: 40, size: 'max' }), ({ start, end }, steps) => {
        const scene = new Scene(start, end);
        for (const next of steps) scene.run(next);
        scene.end(true);
        for (const piece of scene.pieces) {
          expect(Math.floor(piece.start / PIECE)).toBe(Math.floor(piece.end / PIECE));
          // As full as it gets.
          expect(piece.start === start || piece.start % PIECE === 0).toBe(true);
          expect(piece.end === scene.position - 1 || (piece.end + 1) % PIECE === 0).toBe(true);
        }
        for (const run of scene.loose) {
          expect(scene.wasShort).toBe(true);
          // It begins where a piece could have begun, and ends where the next one could, or with the source.
          expect(run.start === start || run.start % PIECE === 0).toBe(true);
          expect(run.end === scene.position - 1 || (run.end + 1) % PIECE === 0).toBe(true);
        }
      }),
      { numRuns: 120 },
    );
  }, 60_000);

  it('is loose while the budget is spent, and takes from it again at the next MiB', () => {
    const scene = new Scene(0, OBJECT - 1);
    const { window } = scene;
    scene.append(PIECE);
    scene.run({ do: 'starve' });
    scene.append(PIECE / 2);
    expect(window.loose).toBe(true);
    scene.run({ do: 'feed' });
    scene.append(PIECE / 4);
    expect(window.loose).toBe(true);
    scene.append(PIECE / 2);
    expect(window.loose).toBe(false);
    scene.end(true);
    expect(scene.pieces).toEqual([
      { start: 0, end: PIECE - 1 },
      { start: 2 * PIECE, end: 2 * PIECE + PIECE / 4 - 1 },
    ]);
  });

  it('takes no more from the budget for a short body than it needs', () => {
    const scene = new Scene(100, 5099);
    scene.append(5000);
    expect(scene.pool.bytesOut).toBe(5000);
    scene.end(false);
    expect(scene.pieces).toEqual([{ start: 100, end: 5099 }]);
  });

  it('of a body that nobody keeps takes nothing from the budget', () => {
    const scene = new Scene(0, OBJECT - 1, false);
    for (const next of [100, 5000, PIECE, 2 * PIECE]) scene.append(next);
    scene.take(50, 2 * PIECE);
    scene.trim(PIECE);
    expect(scene.pool.bytesOut).toBe(0);
    scene.end(true);
    expect([scene.pieces, scene.window.start]).toEqual([[], 3 * PIECE + 5100]);
  });
});
