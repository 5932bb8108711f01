import { stretchKey } from '../../proxy-core/store/disk/use-keys.ts';
import { EXTENT, SMALL, UNIT } from '../../proxy-core/store/index.ts';
import {
  createWeightedCache,
  type EvictionAlgorithm,
  type WeightedCache,
} from '../../proxy-core/store/memory/index.ts';
import { DiskTier } from './disk-tier.ts';
import { hashOf, seeded } from './random.ts';
import type { Request, Workload } from './workloads.ts';

/** Of all requests but uploads. */
export interface HitRatios {
  readonly requests: number;
  /** Answered without S3. */
  readonly hits: number;
  readonly bytes: number;
  /** Of those, from memory or disk. */
  readonly hitBytes: number;
  /** That came from S3 and were written to the disk. */
  readonly writtenBytes: number;
}

/** A head takes a block. */
const HEAD = 4096;

/** Plays a workload before both tiers, whose decisions are those of the store: only that there is no memory and no disk. */
export function play(workload: Workload, algorithm: EvictionAlgorithm): HitRatios {
  const tiers = new TwoTiers(workload, algorithm);
  for (const request of workload.requests()) tiers.take(request);
  return tiers.ratios;
}

class TwoTiers {
  readonly ratios = { requests: 0, hits: 0, bytes: 0, hitBytes: 0, writtenBytes: 0 };
  readonly #ram: WeightedCache<true>;
  readonly #disk: DiskTier;
  readonly #versions = new Map<number, number>();

  constructor({ ramBytes, diskBytes }: Workload, algorithm: EvictionAlgorithm) {
    this.#ram = createWeightedCache(algorithm, { maxWeight: ramBytes });
    this.#disk = new DiskTier({
      algorithm,
      maxBytes: diskBytes,
      random: seeded(6),
      lowWater: 0.95,
      onWritten: bytes => {
        this.ratios.writtenBytes += bytes;
      },
    });
  }

  take(request: Request): void {
    const { kind, object } = request;
    const version = this.#versions.get(object) ?? 0;
    if (kind === 'put') {
      this.#disk.remove(`${object}.head`);
      for (let at = 0; at < request.length; at += EXTENT)
        this.#disk.removeAll(`${object}.${version}.${Math.floor(at / EXTENT)}.`);
      this.#versions.set(object, version + 1);
      return;
    }
    const head = hashOf(object);
    const { ratios } = this;
    ratios.requests++;
    this.#disk.tick();
    if (kind === 'head') {
      if (this.#disk.read(`${object}.head`, head, HEAD)) ratios.hits++;
      return;
    }
    const { start, end, length } = request;
    const small = length <= SMALL;
    let missed = 0;
    if (small) {
      const inRam = this.#fromRam(`${object}.${version}`, start, end, length) === 0;
      if (!this.#disk.read(`${object}.head`, head, HEAD + length) && !inRam) missed = length;
    } else {
      this.#disk.read(`${object}.head`, head, HEAD);
      for (let at = start; at <= end; ) {
        const stretch = Math.floor(at / EXTENT);
        const until = Math.min(end, (stretch + 1) * EXTENT - 1);
        const lacking = this.#fromRam(`${object}.${version}`, at, until, length);
        const path = `${object}.${version}.${stretch}.${at}`;
        if (!this.#disk.read(path, stretchKey(head, at), until - at + 1 + HEAD)) missed += lacking;
        at = until + 1;
      }
    }
    ratios.bytes += end - start + 1;
    ratios.hitBytes += end - start + 1 - missed;
    if (missed === 0) ratios.hits++;
  }

  /** Bytes that are not in memory; they are offered to it, as what comes from disk or S3 is. */
  #fromRam(version: string, start: number, end: number, length: number): number {
    let lacking = 0;
    const scan = length > SMALL;
    for (let cell = Math.floor(start / UNIT); cell * UNIT <= end; cell++) {
      const key = `${version}:${cell}`;
      if (this.#ram.get(key)) continue;
      lacking += Math.min(end, (cell + 1) * UNIT - 1) - Math.max(start, cell * UNIT) + 1;
      const weight = Math.min(UNIT, length - cell * UNIT) + 320;
      if (this.#ram.admits(key, weight, { scan })) this.#ram.set(key, true, weight, { scan });
    }
    return lacking;
  }
}
