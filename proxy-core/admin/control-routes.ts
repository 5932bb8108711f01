import { CisternError } from '../errors.ts';
import { isBucketName, utf8Bytes } from '../request/index.ts';
import type { Care, Target } from '../store/index.ts';
import type { ControlRoutes } from './control-server.ts';
import type { StatusSnapshot } from './snapshot.ts';

/** By which a proxy is told from others on the machine. */
export interface Hello {
  readonly version: string;
  readonly pid: number;
  /** `host:port` on which it serves. */
  readonly proxy: string;
  readonly cache_dir: string;
}

export interface ControlSources {
  readonly care: Care;
  readonly status: () => StatusSnapshot;
}

/** Everything that the control interface answers. */
export function controlRoutes({ care, status }: ControlSources): ControlRoutes {
  return {
    'GET /v1/hello': (): Hello => {
      const { version, pid, addresses, cache } = status();
      return { version, pid, proxy: addresses.proxy, cache_dir: cache.dir };
    },
    'GET /v1/status': () => status(),
    'GET /v1/objects': (query, signal) => care.list(signal, targetIn(query)),
    'GET /v1/buckets': (_, signal) => care.list(signal),
    'GET /v1/pins': (_, signal) => care.pins(signal),
    'POST /v1/pin': (query, signal) => care.pin(signal, targetIn(query)),
    'POST /v1/unpin': (query, signal) => care.unpin(signal, targetIn(query)),
    'POST /v1/verify': (query, signal) => care.verify(signal, { fromStart: query.get('from_start') === 'true' }),
    'POST /v1/purge': (query, signal) => care.purge(signal, targetIn(query), query.get('dry_run') === 'true'),
    // For what another process has removed.
    'POST /v1/forget': query => {
      care.forget(targetIn(query));
      return {};
    },
  };
}

/** The target of a request, from `bucket`, `prefix` and `origin`. */
export function targetIn(query: URLSearchParams): Target {
  const bucket = query.get('bucket') ?? '';
  if (!isBucketName(bucket)) throw new CisternError('InvalidRequest', `${JSON.stringify(bucket)} is no bucket's name.`);
  return {
    bucket,
    prefix: utf8Bytes(query.get('prefix') ?? ''),
    origin: query.get('origin') ?? undefined,
  };
}
