import type { StatusSnapshot, WorkerFacts } from '../../proxy-core/admin/index.ts';

/** A status in words, for a terminal. */
export function statusLines(status: StatusSnapshot): string[] {
  const { addresses, cache, counters, throughput } = status;
  const disk = cache.disk_bytes === undefined ? 'not counted yet' : bytes(cache.disk_bytes);
  const limit =
    cache.disk_limit >= Number.MAX_SAFE_INTEGER ? 'all but the free space to keep' : bytes(cache.disk_limit);
  const share = status.share_from_cache;
  const outcomes = [
    `${counters.hits} hits`,
    `${counters.revalidated} revalidated`,
    `${counters.partial} partial`,
    `${counters.misses} misses`,
    `${counters.bypasses} passed through`,
    `${counters.errors} errors`,
  ];
  return [
    `Cistern ${status.version} has been running for ${time(status.uptime_s)} (process ${status.pid}).`,
    row('proxy', addresses.proxy),
    ...(status.workers ? [row('workers', workers(status.workers))] : []),
    ...(['dashboard', 'health', 'metrics'] as const).flatMap(name =>
      addresses[name] ? [row(name, addresses[name])] : [],
    ),
    row('cache', cache.dir),
    ...(cache.volume ? [row('volume', cache.volume.summary)] : []),
    row('on disk', `${disk} of ${limit}`),
    row('in memory', `${bytes(cache.ram_bytes)} of ${bytes(cache.ram_limit)}`),
    row('requests', `${counters.requests}: ${outcomes.join(', ')}`),
    ...uploads(status),
    row('to S3', `${counters.s3_requests} requests`),
    row(
      'bytes',
      `${bytes(counters.bytes_from_cache)} from the cache, ${bytes(counters.bytes_from_s3)} from S3${share === null ? '' : ` (${(share * 100).toFixed(1)} % from the cache)`}`,
    ),
    row('now', `${bytes(throughput.from_cache)}/s from the cache, ${bytes(throughput.from_s3)}/s from S3`),
    ...(cache.volume?.notes.map(text => row('note', text)) ?? []),
    ...(status.problems.length === 0 ? [row('problems', 'none')] : status.problems.map(text => row('problem', text))),
  ];
}

function workers(all: readonly WorkerFacts[]): string {
  const one = ({ pid, active_connections: count }: WorkerFacts) =>
    pid === undefined ? 'one is being started' : `process ${pid} (${count} connection${count === 1 ? '' : 's'})`;
  return all.map(one).join(', ');
}

function uploads({ counters: { uploads_kept, upload_reasons } }: StatusSnapshot): string[] {
  const passedBy = Object.entries(upload_reasons).map(([reason, count]) => `${count} not (${reason})`);
  if (uploads_kept === 0 && passedBy.length === 0) return [];
  return [row('uploads', [`${uploads_kept} kept`, ...passedBy].join(', '))];
}

export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const row = (name: string, text: string) => `  ${name.padEnd(10)} ${text}`;

function time(seconds: number): string {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} days`;
}
