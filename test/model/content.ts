import { createHash } from 'node:crypto';
import type { Body } from '../origin/index.ts';

/** Content by the meanest means: a stretch of one of two pools, so that making and comparing it costs nothing. */
export interface Content {
  readonly kind: 'random' | 'shrinking';
  readonly bytes: Buffer;
}

const POOL = 48 << 20;
/** Prime: no two stretches are a multiple of a cell or an extent apart, so bytes in a wrong place never fit. */
const STEP = 8209;
const OFFSETS = 1400;

let pools: Readonly<Record<Content['kind'], Buffer>> | undefined;

/** The `serial`-th content: another serial number, other bytes at every place. */
export function contentOf(serial: number, length: number): Content {
  const kind = serial % 3 === 0 ? 'shrinking' : 'random';
  pools ??= makePools();
  const start = (serial % OFFSETS) * STEP;
  return { kind, bytes: pools[kind].subarray(start, start + length) };
}

/** As the origin keeps it, with a name in place of an MD5 of all bytes. */
export function bodyOf({ bytes }: Content, name: string): Body {
  return {
    length: bytes.length,
    digest: createHash('md5').update(name).digest('hex'),
    read: (start, end) => bytes.subarray(start, end),
  };
}

/** Filled by a xorshift generator, so that a run is the same run another time; in `shrinking` every word comes four times. */
function makePools(): Readonly<Record<Content['kind'], Buffer>> {
  const random = new Uint32Array(POOL / 4);
  const shrinking = new Uint32Array(POOL / 4);
  let x = 0x9e3779b9;
  for (let i = 0; i < random.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    random[i] = x;
    shrinking[i] = random[i & ~3]!;
  }
  return { random: Buffer.from(random.buffer), shrinking: Buffer.from(shrinking.buffer) };
}
