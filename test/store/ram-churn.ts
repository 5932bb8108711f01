import { Blocks } from '../../proxy-core/store/blocks.ts';
import type { Cell } from '../../proxy-core/store/memory/cells.ts';
import type { EvictionAlgorithm } from '../../proxy-core/store/memory/index.ts';

/**
 * Run as a process of its own, with --expose-gc: churns the RAM tier with content of all sizes, one after the other and mixed, while
 * some of what it gives out is held, and prints what it cost at most, in bytes: as counted, and as V8 knows it.
 */
const LIMIT = 32 << 20;
const SIZES = [65_536, 10, 65_536, 700, 65_536, 20_000, 65_535, 'any'] as const;
const HELD = 40;

function memory(): number {
  for (let i = 0; i < 3; i++) globalThis.gc!();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function churn(algorithm: EvictionAlgorithm): Promise<void> {
  const blocks = new Blocks({ algorithm, maxBytes: LIMIT });
  const content = Buffer.alloc(65_536, 7);
  const held: Cell[] = [];
  const before = memory();
  let [counted, real, key] = [0, 0, 0];
  for (const size of SIZES) {
    for (let all = 0, i = 0; all < 3 * LIMIT && i < 120_000; i++) {
      const bytes = size === 'any' ? 1 + ((i * 7919) % 65_536) : size;
      all += bytes;
      // Asked for again, so that every policy keeps some of each.
      const version = `${key++}:`;
      for (let time = 0; time < 2; time++) blocks.offer(version, 0, content.subarray(0, bytes), bytes, false);
      const cell = blocks.get(version, 0);
      if (cell && i % 10 === 0) {
        cell.pin();
        held.push(cell);
      }
      if (held.length > HELD) held.shift()!.unpin();
      counted = Math.max(counted, blocks.bytes);
      if (i % 1000 === 0) await new Promise(setImmediate);
    }
    real = Math.max(real, memory() - before);
  }
  process.stdout.write(`${JSON.stringify({ algorithm, limit: LIMIT, counted, real })}\n`);
}

async function run(): Promise<void> {
  for (const algorithm of ['tinylfu', 'lru', 's3fifo'] as const) await churn(algorithm);
}

void run();
