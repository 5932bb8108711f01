import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Lifeline, type Source } from '../../proxy-core/read/lifeline.ts';
import type { Span } from '../../proxy-core/request/index.ts';

const MINUTE = 60_000;
const SPAN: Span = { start: 1000, end: 99_999 };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** One held flight, as far as a lifeline knows it. */
interface Held {
  readonly missing: Span;
  readonly eager: boolean;
  readonly flight: { running: boolean };
  left: number;
}

/** An answer whose signature ends after so many ms; from `missing` on nothing is kept and nobody brings it. */
function setUp(endsAfter: number | undefined) {
  const opened: Held[] = [];
  const state = { missing: SPAN.start as number | undefined };
  const source = {
    span: SPAN,
    request: { signature: { expiresAt: endsAfter === undefined ? undefined : Date.now() + endsAfter } },
    fetches: {
      firstMissing: (_entry: unknown, _head: unknown, _epoch: unknown, { start }: Span) =>
        state.missing === undefined ? undefined : Math.max(state.missing, start),
      gap: (_promised: unknown, missing: Span) => ({
        join: (at: number, _by: unknown, eager: boolean) => {
          expect(at).toBe(missing.start);
          const held = {
            missing,
            eager,
            flight: { running: true },
            left: 0,
            leave: () => {
              held.left++;
            },
          };
          opened.push(held);
          return held;
        },
      }),
    },
  } as unknown as Source;
  return { lifeline: new Lifeline(source), opened, state };
}

describe('an answer whose signature ends', () => {
  it('is covered, a minute before that, by a request for all that is still missing, which is held until the answer ends', () => {
    const { lifeline, opened } = setUp(15 * MINUTE);
    vi.advanceTimersByTime(14 * MINUTE - 1);
    expect(opened).toEqual([]);
    lifeline.at = 50_000;
    vi.advanceTimersByTime(1);
    expect(opened.map(({ missing, eager }) => [missing, eager])).toEqual([[{ start: 50_000, end: 99_999 }, true]]);
    vi.advanceTimersByTime(10 * MINUTE);
    expect(opened).toHaveLength(1);
    expect(opened[0]?.left).toBe(0);
    lifeline.end();
    expect(opened[0]?.left).toBe(1);
  });

  it('is covered at once where that is less than a minute away', () => {
    const { lifeline, opened } = setUp(20_000);
    vi.advanceTimersByTime(0);
    expect(opened.map(({ missing }) => missing)).toEqual([SPAN]);
    lifeline.end();
  });

  it('is covered anew when the request fails before the signature has ended, and not after', () => {
    const { lifeline, opened } = setUp(15 * MINUTE);
    vi.advanceTimersByTime(14 * MINUTE);
    opened[0]!.flight.running = false;
    lifeline.at = 60_000;
    vi.advanceTimersByTime(5000);
    expect(opened.map(({ missing }) => missing.start)).toEqual([SPAN.start, 60_000]);
    expect(opened.map(({ left }) => left)).toEqual([1, 0]);
    vi.advanceTimersByTime(56_000);
    opened[1]!.flight.running = false;
    vi.advanceTimersByTime(10 * MINUTE);
    expect(opened).toHaveLength(2);
    lifeline.end();
  });

  it('is covered when what others were to bring turns out to be missing', () => {
    const { lifeline, opened, state } = setUp(2 * MINUTE);
    state.missing = undefined;
    vi.advanceTimersByTime(MINUTE + 20_000);
    expect(opened).toEqual([]);
    state.missing = 70_000;
    vi.advanceTimersByTime(5000);
    expect(opened.map(({ missing }) => missing)).toEqual([{ start: 70_000, end: 99_999 }]);
    lifeline.end();
  });

  it('needs nothing once it has been given', () => {
    const { lifeline, opened } = setUp(2 * MINUTE);
    lifeline.end();
    vi.advanceTimersByTime(10 * MINUTE);
    expect(opened).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('an answer to a request without a signature needs no lifeline', () => {
  const { opened } = setUp(undefined);
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(60 * MINUTE);
  expect(opened).toEqual([]);
});
