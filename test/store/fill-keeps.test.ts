import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { EXTENT, PIECE, type Piece, UNIT } from '../../proxy-core/store/index.ts';
import {
  beginObject,
  halfWrittenIn,
  headOf,
  holdWrites,
  noise,
  openStore,
  startFill,
  stopClock,
  tempFolder,
  when,
} from './helpers.ts';

const LENGTH = 5 * EXTENT + 3 * UNIT + 17;
const content = noise(LENGTH);
const head = headOf(LENGTH);
/** Places that are looked at: near every boundary that may matter. */
const places = Array.from({ length: Math.ceil(LENGTH / PIECE) }, (_, i) => i * PIECE).flatMap(at => [
  at,
  Math.min(at + PIECE - 1, LENGTH - 1),
]);

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('send' as const), pieces: fc.integer({ min: 1, max: 10 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('go' as const), writes: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('fail' as const, 'starve' as const, 'feed' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('urgent' as const, 'closed' as const, 'open' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(60, 300, 2000) }) },
);

it('what a fill says that it keeps comes to the disk, or it says that something has changed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40, size: 'max' }),
      fc.constantFrom(8, 16, 40),
      async (steps, budget) => {
        const folder = tempFolder();
        const { store, close } = await openStore(folder, { memoryBudget: budget * PIECE });
        await store.capacity.settled();
        const entry = await beginObject(store, head);
        stopClock();
        const writes = holdWrites(store);
        const takes = vi.spyOn(store, 'takesFills', 'get').mockReturnValue(true);
        let urgent = true;
        /** What was kept when that was looked at last: as bytes came, or the fill told of a change. */
        let kept: number[] = [];
        const look = () => {
          kept = places.filter(at => fill.keeps(at));
          expect(kept.every(at => at < filling.position)).toBe(true);
        };
        const filling = startFill(store, entry, head, { compression: 'off', urgent: () => urgent, onChange: look });
        const { fill } = filling;
        const onDisk = (at: number) => store.firstGap(entry, head, { start: at, end: at }) === undefined;
        const others: Piece[] = [];
        for (const next of steps) {
          if (next.do === 'send') {
            for (let i = 0; i < next.pieces && !fill.busy; i++) {
              filling.append(content.subarray(filling.position, filling.position + PIECE));
              look();
            }
          } else if (next.do === 'go') for (const write of writes.waiting.splice(0, next.writes)) write.go();
          else if (next.do === 'fail') writes.waiting.shift()?.fail('EIO');
          else if (next.do === 'starve')
            for (let piece = store.pool.take(); piece; piece = store.pool.take()) others.push(piece);
          else if (next.do === 'feed') for (const piece of others.splice(0)) piece.release();
          else if (next.do === 'urgent') urgent = !urgent;
          else if (next.do === 'wait') vi.advanceTimersByTime(next.ms);
          else takes.mockReturnValue(next.do === 'open');
          for (let i = 0; i < 10; i++) await new Promise(setImmediate);
          expect(kept.filter(at => !fill.keeps(at) && !onDisk(at))).toEqual([]);
        }
        // From here on all is well, and nothing more comes.
        let ended = false;
        const end = filling.end().then(() => {
          ended = true;
        });
        const promised = places.filter(at => fill.keeps(at));
        while (!ended) {
          writes.waiting.shift()?.go();
          await new Promise(setImmediate);
        }
        await end;
        expect(promised.filter(at => !onDisk(at))).toEqual([]);
        for (const piece of others) piece.release();
        expect(store.pool.bytesOut).toBe(0);
        await when(() => halfWrittenIn(folder).length === 0);
        writes.end();
        vi.useRealTimers();
        await close();
        rmSync(folder, { recursive: true });
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
