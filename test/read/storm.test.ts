import { truncate, unlink } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { type Body, generatedBody } from '../origin/index.ts';
import { type Answer, type Ask, type Client, filesUnder, MIB, type Place, startPlace } from './helpers.ts';

const KEYS = ['a', 'b', 'c'];
const HOUR = 3_600_000;

/** What the origin held for a key, by ETag, and since when. */
type History = { etag: string; body: Body; since: number }[];

/** The same numbers for the same seed, so that a storm that failed can be had again. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

class Storm {
  readonly #place: Place;
  readonly #clients: Client[];
  readonly #roll: (below: number) => number;
  readonly #ttl: number;
  readonly #histories = new Map<string, History>(KEYS.map(key => [key, []]));
  #seed = 1;
  complete = 0;
  cut = 0;

  constructor(place: Place, clients: Client[], roll: (below: number) => number, ttl: number) {
    this.#place = place;
    this.#clients = clients;
    this.#roll = roll;
    this.#ttl = ttl;
    for (const key of KEYS) this.overwrite(key);
  }

  /** Behind the cache's back. */
  overwrite(key: string): void {
    const sizes = [0, 1000, 65_536, 300_000, 9 * MIB, 17 * MIB + 5];
    const body = generatedBody(sizes[this.#roll(sizes.length)]!, this.#seed++);
    const { etag } = this.#place.origin.put('data', key, body);
    this.#histories.get(key)!.push({ etag, body, since: performance.now() });
  }

  async read(): Promise<void> {
    const key = KEYS[this.#roll(KEYS.length)]!;
    const history = this.#histories.get(key)!;
    const size = history.at(-1)!.body.length;
    const start = this.#roll(Math.max(1, size));
    const range = [
      undefined,
      `bytes=${start}-`,
      `bytes=${start}-${start + this.#roll(3 * MIB)}`,
      `bytes=-${start + 1}`,
    ];
    const chosen = range[this.#roll(range.length)];
    const ask: Ask = {
      key,
      ...(chosen === undefined ? {} : this.#roll(2) === 0 ? { range: chosen } : { headers: ['Range', chosen] }),
      ...(this.#roll(5) === 0 ? { method: 'HEAD' } : {}),
    };
    const begun = performance.now();
    const answer = await this.#clients[this.#roll(this.#clients.length)]!.send(ask);
    this.check(ask, answer, begun);
  }

  /** One version, whole, and one that was current while the answer was made or, with a ttl, was so within it. */
  check(ask: Ask, answer: Answer, begun: number): void {
    const label = `${JSON.stringify(ask)} ${answer.status} ${answer.header('cache-status')}`;
    if (answer.status === 416) return;
    const history = this.#histories.get(ask.key!)!;
    if (answer.status === 0) {
      this.cut++;
      return;
    }
    expect([200, 206], label).toContain(answer.status);
    const at = history.findIndex(({ etag }) => etag === answer.header('etag'));
    expect(at, label).toBeGreaterThanOrEqual(0);
    const { body } = history[at]!;
    const next = history[at + 1];
    if (this.#ttl === 0 && next)
      expect(next.since, `${label}: overwritten before it was asked for`).toBeGreaterThan(begun);
    const [, first = '0'] = /^bytes (\d+)-/.exec(answer.header('content-range') ?? '') ?? [];
    const promised = Number(answer.header('content-length'));
    expect(answer.body.equals(body.read(Number(first), Number(first) + answer.body.length)), label).toBe(true);
    if (!answer.complete) this.cut++;
    else if (ask.method !== 'HEAD') {
      this.complete++;
      expect(answer.body.length, label).toBe(promised);
    }
  }

  async harm(): Promise<void> {
    const files = await filesUnder(`${this.#place.cacheDir}/buckets`);
    const file = files[this.#roll(Math.max(1, files.length))];
    if (file) await (this.#roll(2) === 0 ? unlink(file) : truncate(file, this.#roll(100_000))).catch(() => {});
  }

  fault(): void {
    const [key, after] = [KEYS[this.#roll(KEYS.length)]!, this.#roll(10 * MIB)];
    this.#place.origin.faults.on({ key, times: 1 }, this.#roll(2) === 0 ? { cutAfter: after } : { resetAfter: after });
  }
}

describe.each([0, HOUR])('a storm of reads, overwrites, cuts and lost files, at ttl %i', ttl => {
  it.each([1, 2, 3])(
    'never gives a byte of another version (seed %i)',
    async seed => {
      const place = await startPlace({ cache: { get_ttl: ttl, head_ttl: ttl, max_ram_cache_size: 8 * MIB } });
      const other = await place.another();
      const roll = dice(seed);
      const storm = new Storm(place, [place.client, place.client, other.client], roll, ttl);
      const worker = async () => {
        for (let i = 0; i < 40; i++) {
          const what = roll(20);
          if (what === 0) storm.overwrite(KEYS[roll(KEYS.length)]!);
          else if (what === 1) await storm.harm();
          else if (what === 2) storm.fault();
          else await storm.read();
        }
      };
      await Promise.all([worker(), worker(), worker(), worker()]);
      expect(storm.complete).toBeGreaterThan(50);
      expect(storm.cut).toBeLessThan(storm.complete);
    },
    60_000,
  );
});
