import { createHash } from 'node:crypto';
import type { Answer, Ask, ProxiedClient } from './client.ts';
import { DEMO_PRINCIPAL, type Origin, type Principal } from './origin/index.ts';
import { heading, rowLine, size } from './report.ts';
import { BUCKET, LARGE, LARGE_BYTES, SMALL, TABLE, table } from './samples.ts';

/** The reads and writes of the demo, one after the other, each printed as a line and held against what should happen. */
export class Tour {
  readonly problems: string[] = [];
  readonly #out: (line: string) => void;
  readonly #origin: Origin;
  readonly #client: ProxiedClient;
  readonly #guest: Principal;
  #received = 0;
  #fetched = 0;

  constructor(out: (line: string) => void, origin: Origin, client: ProxiedClient, guest: Principal) {
    this.#out = out;
    this.#origin = origin;
    this.#client = client;
    this.#guest = guest;
  }

  async run(): Promise<void> {
    for (const line of heading()) this.#out(line);
    const large = { method: 'GET', key: LARGE, principal: DEMO_PRINCIPAL } as const;
    await this.#step(`${size(LARGE_BYTES)} object, first read`, [large], { origin: 'some' });
    await this.#step('the same, again', [large], { origin: 'none' });
    await this.#step('1 MiB range in the middle of it', [{ ...large, headers: ['Range', 'bytes=30000000-31048575'] }], {
      origin: 'none',
      status: 206,
    });
    await this.#step('HEAD of it', [{ ...large, method: 'HEAD' }], { origin: 'none' });
    const small = SMALL.map(key => ({ method: 'GET', key, principal: DEMO_PRINCIPAL }) as const);
    await this.#step(`${SMALL.length} small files, first read`, small, { origin: 'some' });
    await this.#step('the same, again', small, { origin: 'none' });
    await this.#step('a caller whom S3 denies it', [{ ...large, principal: this.#guest }], {
      origin: 'some',
      status: 403,
    });
    const csv = { method: 'GET', key: TABLE, principal: DEMO_PRINCIPAL } as const;
    await this.#step('table, first read', [csv], { origin: 'some' });
    await this.#step('table, again', [csv], { origin: 'none' });
    await this.#step(
      'table overwritten through the proxy',
      [{ ...csv, method: 'PUT', body: Buffer.from(table('second edition')) }],
      { origin: 'some' },
    );
    await this.#step('table, read after that', [csv], { origin: 'some' });
  }

  /** Does what is asked, prints a line of it, and notes what is not as it should be. */
  async #step(
    what: string,
    asks: readonly Ask[],
    expected: { origin: 'none' | 'some'; status?: number },
  ): Promise<void> {
    this.#origin.reset();
    const started = performance.now();
    const answers = await Promise.all(asks.map(ask => this.#client.ask(ask)));
    const ms = performance.now() - started;
    const asked = [...this.#origin.requests];
    const bytes = answers.reduce((sum, answer) => sum + answer.bytes, 0);
    const wrong = answers.find((answer, i) => !this.#isRight(asks[i]!, answer, expected.status ?? 200));
    if (wrong)
      this.problems.push(
        `${what}: an answer with status ${wrong.status} and ${wrong.bytes} bytes was not what was uploaded or allowed.`,
      );
    if (expected.origin === 'none' && asked.length > 0)
      this.problems.push(`${what}: S3 was asked (${asked.length} ${asked[0]!.method}), it should not have been.`);
    if (expected.origin === 'some' && asked.length === 0)
      this.problems.push(`${what}: S3 was not asked, it should have been.`);
    if (asks[0]!.method === 'GET' && expected.status !== 403) {
      this.#received += bytes;
      this.#fetched += asked.reduce((sum, record) => sum + record.bytesSent, 0);
    }
    this.#out(rowLine({ what, ms, bytes, xCache: answers.map(answer => answer.xCache), asked }));
  }

  /** Content is held against the origin's own, byte for byte (by SHA-256). */
  #isRight(ask: Ask, answer: Answer, status: number): boolean {
    if (answer.status !== status) return false;
    if (status === 403 || ask.method !== 'GET') return true;
    const { body } = this.#origin.object(BUCKET, ask.key)!;
    const range = /bytes=(\d+)-(\d+)/.exec(ask.headers?.[1] ?? '');
    const [start, end] = range ? [Number(range[1]), Number(range[2]) + 1] : [0, body.length];
    return answer.sha256 === createHash('sha256').update(body.read(start, end)).digest('hex');
  }

  conclusion(): string[] {
    if (this.problems.length > 0) {
      return ['', '  Not everything went as it should:', ...this.problems.map(problem => `  ✗ ${problem}`), ''];
    }
    return [
      '',
      `  Read: ${size(this.#received)}. Of these S3 sent ${size(this.#fetched)}, the cache the rest. Every byte was compared with what S3 holds.`,
      '  On your own line the first reads are as fast as the line is, and the others as fast as here.',
      '',
    ];
  }
}
