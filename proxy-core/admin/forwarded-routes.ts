import { CisternError, ERRORS, type ErrorCode } from '../errors.ts';
import { ask, askMany, ControlRefused } from './control-client.ts';
import type { Hello } from './control-routes.ts';
import type { ControlRoute, ControlRoutes } from './control-server.ts';
import type { StatusSnapshot } from './snapshot.ts';

/** For whom several processes answer that use one cache folder together. */
export interface ForwardTo {
  /** Of them all. */
  readonly status: () => Promise<StatusSnapshot>;
  /** Control socket of the one that works on the folder for all. The same as long as it lives: it knows what it is about. */
  readonly chosen: () => Promise<string>;
  /** Those of the others. */
  readonly others: () => Promise<readonly string[]>;
}

/** How long one that hangs may take to forget, ms. It looks at the folder again anyway, once it goes on. */
const PATIENCE = 2000;

/** Everything that `controlRoutes` answers for one process, for several. */
export function forwardedRoutes({ status, chosen, others }: ForwardTo): ControlRoutes {
  const many = (name: string): [string, ControlRoute] => [
    name,
    (query, signal) => forward(name, chosen, query, signal),
  ];
  return {
    'GET /v1/hello': async (): Promise<Hello> => {
      const { version, pid, addresses, cache } = await status();
      return { version, pid, proxy: addresses.proxy, cache_dir: cache.dir };
    },
    'GET /v1/status': () => status(),
    'GET /v1/pins': async (query, signal) =>
      ask<object>(await chosen(), 'GET', `/v1/pins?${query}`, signal).catch(error => {
        throw asItWasTold(error);
      }),
    ...Object.fromEntries(
      ['GET /v1/objects', 'GET /v1/buckets', 'POST /v1/pin', 'POST /v1/unpin', 'POST /v1/verify'].map(many),
    ),
    'POST /v1/purge': (query, signal) => purge(query, signal),
    'POST /v1/forget': async query => {
      await forget(query, [await chosen(), ...(await others())]);
      return {};
    },
  };

  /** Whoever hears of the end reads nothing from the memory of another process any more. */
  async function* purge(query: URLSearchParams, signal: AbortSignal): AsyncGenerator<Line> {
    for await (const line of forward('POST /v1/purge', chosen, query, signal)) {
      if (line.type === 'end' && query.get('dry_run') !== 'true') await forget(query, await others());
      yield line;
    }
  }
}

interface Line {
  readonly type: string;
}

async function* forward(
  name: string,
  to: () => Promise<string>,
  query: URLSearchParams,
  signal: AbortSignal,
): AsyncGenerator<Line> {
  const [method, path] = name.split(' ') as [string, string];
  try {
    yield* askMany<Line>(await to(), method, `${path}?${query}`, signal);
  } catch (error) {
    throw asItWasTold(error as Error);
  }
}

/** One that ends meanwhile has forgotten. */
async function forget(query: URLSearchParams, addresses: readonly string[]): Promise<void> {
  const target = `/v1/forget?${query}`;
  await Promise.allSettled(addresses.map(address => ask(address, 'POST', target, AbortSignal.timeout(PATIENCE))));
}

function asItWasTold(error: Error): Error {
  if (!(error instanceof ControlRefused) || !(error.code in ERRORS)) return error;
  const code = error.code as ErrorCode;
  const { message } = ERRORS[code];
  return new CisternError(code, error.told.slice(message.length).trim() || undefined, { cause: error });
}
