import { isDeepStrictEqual } from 'node:util';
import { beforeAll, expect } from 'vitest';
import { type Answer, type Ask, Client } from '../read/client.ts';
import { comparable, eventually } from '../read/helpers.ts';
import { BUCKET, BY_NAME, BY_PATH, BY_PATH_TTL_0, describeWays, NAME, type Place, type Way } from './places.ts';

/** What a read asks for; 'range' as most clients send it, its header signed, 'checksums' as today's SDKs ask for them. */
export type Reading =
  | 'GET'
  | 'HEAD'
  | 'range'
  | 'unsigned range'
  | 'checksums'
  | `part ${number}`
  | `checksums of part ${number}`;

export interface WritePlace extends Place {
  /** The same by way of the other process. */
  readonly throughOther: Place;
  /**
   * Reads the object in every way through both processes, the one named `first` first, and expects each answer to be what
   * the origin gives directly, and S3 to have sent no more content than `atMost`. `parts` are read by their numbers.
   */
  expectAsDirectly(key: string, options?: AsDirectly): Promise<void>;
  /** Neither process has the object any more. */
  expectGone(...keys: readonly string[]): Promise<void>;
}

export interface AsDirectly {
  readonly first?: Reading;
  readonly parts?: number;
  /** All by default. */
  readonly readings?: readonly Reading[];
  /** Bytes of content from S3; by default one for each process, which asks so about an upload that it has not read yet. */
  readonly atMost?: number;
}

const WRITE_WAYS: readonly Way[] = [BY_PATH, BY_NAME, BY_PATH_TTL_0];
/** A process looks at most once a second whether another has written what it has in memory; far more, for a busy machine. */
const LOOKS_WITHIN = 5000;

/** The tests of `define` by path and by name, and at TTL 0, each with an origin and two processes on one directory. */
export function describeWrites(define: (place: WritePlace) => void, ways = WRITE_WAYS): void {
  describeWays(ways, place => {
    let other: string;
    let readers: Client[];
    let direct: Client;
    const seenByOther = new Set<string>();
    beforeAll(async () => {
      other = (await place.another()).url;
      readers = [place.proxyUrl!, other].map(url => new Client(place.origin, Number(new URL(url).port)));
      direct = new Client(place.origin);
      return () => {
        for (const client of [...readers, direct]) client.close();
      };
    });
    const ask = (client: Client, key: string, reading: Reading) => client.send(askFor(place, key, reading));

    const expectAsDirectly = async (key: string, options: AsDirectly = {}) => {
      const { first = 'GET', parts = 0, atMost = 2 } = options;
      // What it has read before, it may have in memory.
      if (seenByOther.has(key)) {
        const expected = comparable(await ask(direct, key, 'HEAD'));
        await eventually(
          async () => isDeepStrictEqual(comparable(await ask(readers[1]!, key, 'HEAD')), expected),
          LOOKS_WITHIN,
        );
      }
      seenByOther.add(key);
      const readings = [...(options.readings ?? readingsOf(parts))].sort(
        (a, b) => Number(b === first) - Number(a === first),
      );
      const got: { readonly by: string; readonly reading: Reading; readonly answer: Answer }[] = [];
      const moved = await place.bytes(async () => {
        for (const [i, reader] of readers.entries()) {
          for (const reading of readings)
            got.push({ by: `process ${i + 1}`, reading, answer: await ask(reader, key, reading) });
        }
      });
      const asked = place.origin.requests.map(({ method, path, status, bytesSent, headers }) => {
        const { range = '', 'if-match': match = '', 'if-none-match': noneMatch = '' } = headers;
        return [method, path, status, bytesSent, range, match && 'if-match', noneMatch && 'if-none-match'].join(' ');
      });
      for (const reading of readings) {
        const expected = comparable(await ask(direct, key, reading));
        for (const { by, answer } of got.filter(one => one.reading === reading)) {
          const said = `${reading} of ${key} by ${by}: ${answer.header('cache-status')}\n${asked.join('\n')}`;
          expect(comparable(answer), said).toEqual(expected);
        }
      }
      expect(moved, `bytes from S3 for ${key}\n${asked.join('\n')}`).toBeLessThanOrEqual(atMost);
    };

    const expectGone = async (...keys: readonly string[]) => {
      for (const key of keys) {
        for (const reading of ['HEAD', 'GET'] as const) {
          expect((await ask(readers[0]!, key, reading)).status, `${reading} of ${key}`).toBe(404);
          await eventually(async () => (await ask(readers[1]!, key, reading)).status === 404, LOOKS_WITHIN);
        }
      }
    };

    const proxied = {
      get proxyUrl() {
        return other;
      },
      get proxyVariables() {
        return { ...place.proxyVariables, HTTP_PROXY: other, http_proxy: other };
      },
    };
    // What the getters answer is there only when the tests run.
    const throughOther: Place = Object.create(place, Object.getOwnPropertyDescriptors(proxied));
    define(Object.assign(Object.create(place), { throughOther, expectAsDirectly, expectGone }));
  });
}

function readingsOf(parts: number): Reading[] {
  const ofParts = Array.from({ length: parts }, (_, i) => [`part ${i + 1}`, `checksums of part ${i + 1}`] as const);
  return ['GET', 'HEAD', 'range', 'unsigned range', 'checksums', ...ofParts.flat()];
}

function askFor({ way }: Place, key: string, reading: Reading): Ask {
  const part = /part (\d+)$/.exec(reading);
  return {
    key: key.split('/').map(encodeURIComponent).join('/'),
    bucket: BUCKET,
    ...(way.style === 'virtual' ? { base: NAME } : {}),
    ...(reading === 'HEAD' ? { method: 'HEAD' } : {}),
    ...(reading === 'range' ? { headers: ['Range', 'bytes=1000-1999'] } : {}),
    ...(reading === 'unsigned range' ? { range: 'bytes=-700' } : {}),
    ...(reading.startsWith('checksums') ? { headers: ['x-amz-checksum-mode', 'ENABLED'] } : {}),
    ...(part ? { query: `?partNumber=${part[1]}` } : {}),
  };
}
