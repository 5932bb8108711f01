import { type Static, Type } from '@sinclair/typebox';
import { address, choice, countOrCores, duration, endpoint, flag, integer, path, percent, size } from './leaf.ts';
import { addresses, endpointOverrides, freeSpace, proxyUrl, upstreamOverrides } from './structures.ts';

/**
 * Every setting, once: its type, default, range and what it does. Durations are milliseconds and sizes bytes after
 * reading. `docs/settings.md` and `docs/settings.schema.json` are generated from this (scripts/generate-docs.ts).
 */
const server = Type.Object(
  {
    bind_address: address(
      '127.0.0.1',
      'Address the forward proxy listens on. On one that is not loopback only S3 hosts and hosts named by overrides are reached.',
    ),
    proxy_port: integer(3128, 0, 65_535, 'Port of the forward proxy. 0 takes any free port.'),
    workers: countOrCores(
      1,
      64,
      'Processes that serve behind the one port, for a server with several cores; `auto`: one for each core. Clients, status and metrics see one proxy. What is said of memory (`max_ram_cache_size`, `memory_budget`, `metadata_cache.max_entries`), connections and requests is for all together and split evenly among them. The desktop app runs one.',
    ),
    max_concurrent_requests: integer(
      1_000,
      1,
      1_000_000,
      'Requests handled at a time, each until its last byte is sent. Above it clients get 503 SlowDown with Retry-After.',
    ),
    max_connections: integer(10_000, 1, 1_000_000, 'Client connections open at a time.'),
    header_timeout: duration('30s', '100ms', '10m', 'How long a client may take to send the head of a request.'),
    idle_timeout: duration(
      '2m',
      '100ms',
      '1h',
      'How long a client connection may be silent, between requests or in the middle of a body, before it is closed.',
    ),
    shutdown_grace: duration('30s', '0s', '1h', 'How long a stop waits for running transfers before it cuts them.'),
  },
  { description: 'Where clients connect, and how much they may ask for at a time.', additionalProperties: false },
);

const cache = Type.Object(
  {
    cache_dir: path(
      'Folder of the disk cache; a local folder or a volume shared with other machines. Default: `~/.cache/cistern` (or `$XDG_CACHE_HOME/cistern`), `~/Library/Caches/Cistern` on macOS, `%LOCALAPPDATA%\\Cistern\\Cache` on Windows.',
    ),
    max_cache_size: size(
      '10GiB',
      '1MiB',
      'Most space the disk cache takes, a hard limit in allocated blocks. 0 means that only `min_free_space` limits it.',
      Number.MAX_SAFE_INTEGER,
    ),
    min_free_space: freeSpace(
      '5%',
      'Free space that is left on the volume of `cache_dir`, whatever `max_cache_size` says.',
    ),
    file_mode: choice(
      'private',
      ['private', 'shared'],
      '`private`: files 0600 in folders 0700. `shared`: 0660 in 2770, for a volume that a group of people shares.',
    ),
    ram_cache_enabled: flag(true, 'Keep content in memory, too.'),
    max_ram_cache_size: size('512MiB', '1MiB', 'Most memory for content.'),
    metadata_cache: Type.Object(
      {
        max_entries: integer(
          100_000,
          100,
          10_000_000,
          'Most objects whose heads (headers, ETag, length) are kept in memory.',
        ),
      },
      { additionalProperties: false },
    ),
    eviction_algorithm: choice(
      'tinylfu',
      ['tinylfu', 'lru', 's3fifo'],
      'What leaves the cache first, memory and disk alike. `tinylfu` weighs how often and how recently content was read; where the cache is full, it keeps nothing new that is known less well than what would have to go, so that no one-time scan pushes out what is read again and again. `lru` keeps everything and gives up what was not read for longest; `s3fifo` gives up what was not read again soon after it came. On disk each picks from random samples.',
    ),
    get_ttl: duration(
      '60s',
      '0s',
      '3650d',
      "How long a cached object is served to GET without asking S3. `0s`: S3 is asked each time, with the caller's own signature.",
    ),
    head_ttl: duration('60s', '0s', '3650d', 'The same for HEAD.'),
    read_cache_enabled: flag(true, 'Serve and keep reads. `false`: every read goes to S3 and nothing is kept.'),
    write_cache_enabled: flag(
      true,
      'Keep a copy of what is uploaded, so that its first read needs no body from S3. `false`: uploads only pass through, and make what is cached of the object stale.',
    ),
    write_cache_max_object_size: size(
      '256MiB',
      '0',
      'Largest object of which a copy is kept while it is uploaded, in one piece or in parts.',
    ),
    write_cache_percent: percent(
      10,
      'Share of the cache that uploads which nobody has read yet, and those that still run, may take together, in percent.',
    ),
    pin_percent: integer(
      50,
      0,
      90,
      'Share of the cache that may be pinned against eviction (`cistern pin`), in percent. A pin that would take more is refused; where more comes later, what is pinned may be evicted like anything else until it is less.',
    ),
    put_ttl: duration(
      '1h',
      '0s',
      '3650d',
      'How long an upload may wait for its first reader. After that, while nobody has read it, it is the first to leave when room is needed.',
    ),
    incomplete_upload_ttl: duration(
      '1d',
      '1s',
      '3650d',
      'How long the kept parts of a multipart upload stay after its last part, when it is neither completed nor aborted.',
    ),
    authorization: choice(
      'caller',
      ['caller', 'shared'],
      "`caller`: a fresh object is served only to callers whom S3 let read it within the ttl; others are sent to S3 first. `shared`: a fresh object is served to every caller of this proxy. Neither is a defence against someone who forges another's access key id on this machine; under `get_ttl: 0s` S3 checks every request.",
    ),
    stale_if_error: duration(
      '0s',
      '0s',
      '3650d',
      "How long past its ttl an object may be served when S3 can't be reached or answers 5xx. Never used where the ttl is 0.",
    ),
    evaluate_conditions_from_cache: flag(
      true,
      'Answer If-Match, If-None-Match, If-Modified-Since and If-Unmodified-Since from a fresh head. `false`: S3 is asked for requests that have one.',
    ),
    cache_bypass_headers_enabled: flag(
      true,
      'Honour `Cache-Control: no-store` and `no-cache`, and `Pragma: no-cache`, of clients.',
    ),
    range_merge_gap_threshold: size(
      '1MiB',
      '0',
      'Two missing ranges of a read that lie at most this far apart are fetched from S3 as one.',
    ),
    memory_budget: size(
      '256MiB',
      '16MiB',
      'Most memory for bytes on their way. Above it new reads are passed through without being kept.',
    ),
    parallel_fill: Type.Object(
      {
        connections: integer(
          4,
          1,
          16,
          'Connections to S3 that one cold read of a large object may use at once. `1`: each read uses one.',
        ),
        min_object_size: size('64MiB', '16MiB', 'Smallest read for which that is done.'),
      },
      {
        additionalProperties: false,
        description: 'Cold reads of large objects over several connections at once, where Range is not signed.',
      },
    ),
    disk_timeout: duration('1s', '10ms', '1m', 'How long a request waits for the disk before it is served from S3.'),
  },
  { description: 'What is kept, where, how much and for how long.', additionalProperties: false },
);

const connection_pool = Type.Object(
  {
    connection_timeout: duration('10s', '100ms', '5m', 'How long connecting to S3 may take, TLS included.'),
    idle_timeout: duration('55s', '100ms', '1h', 'How long an unused connection to S3 is kept.'),
    keepalive_enabled: flag(true, 'Reuse connections to S3.'),
    max_idle_per_ip: integer(10, 1, 1_000, 'Unused connections kept per address.'),
    connections_per_address: integer(
      256,
      1,
      10_000,
      'Most connections to one address of S3. Requests above it wait for one to be free.',
    ),
    dns_refresh_interval: duration('60s', '1s', '1d', 'How often the addresses of a host are looked up again.'),
    dns_servers: addresses("DNS servers to ask, instead of the system's."),
    endpoint_overrides: endpointOverrides(
      'Addresses to use for a host or for every host under `*.suffix`, for VPC interface endpoints (PrivateLink) for example. The longest match wins; Host and TLS server name stay as they are.',
    ),
    upstream_overrides: upstreamOverrides(
      'S3-compatible servers, by the `host:port` that clients ask for: how they are reached (`scheme`), where (`address`, if not there), and whether their certificate is checked (`validate_tls`).',
    ),
    upstream_proxy: proxyUrl('HTTP proxy through which S3 is reached. Empty: none.'),
    upstream_first_byte_timeout: duration(
      '30s',
      '100ms',
      '1h',
      'How long S3 may take to begin its answer. The reference gives up after 5 s and retries; S3 can take longer for a request that is right, a CopyObject for example, or the first read of a large object in a cold bucket, so Cistern waits.',
    ),
    upstream_idle_timeout: duration(
      '30s',
      '100ms',
      '1h',
      'How long S3 may pause in the middle of a body while the client is reading (the reference: 5 s).',
    ),
    ip_failure_threshold: integer(3, 1, 100, 'Failed connections in a row after which an address leaves the rotation.'),
    health_probe_initial_cooldown: duration(
      '5s',
      '10ms',
      '1h',
      'How long after that the address is tried again; doubled each time the trial fails.',
    ),
    health_probe_max_cooldown: duration('300s', '10ms', '1d', 'Longest time between two trials.'),
  },
  { description: 'How S3 is reached.', additionalProperties: false },
);

const compression = Type.Object(
  {
    enabled: flag(
      true,
      'Compress cached content with LZ4 where it shrinks. Content of compressed types, and content that does not shrink at first, is stored as it is.',
    ),
    threshold: size(
      '1024',
      '0',
      'Smallest object that is compressed. What fits a block of the volume (4 KiB) never is.',
    ),
  },
  { description: 'How content is stored.', additionalProperties: false },
);

const logging = Type.Object(
  {
    access_log_enabled: flag(true, 'Write a line for each request, with the fields of S3 server access logs.'),
    access_log_dir: path(
      'Folder of the access log. Default: `~/.local/state/cistern/logs/access` (or under `$XDG_STATE_HOME`), `~/Library/Logs/Cistern/access` on macOS, `%LOCALAPPDATA%\\Cistern\\Logs\\access` on Windows.',
    ),
    access_log_mode: choice(
      'all',
      ['all', 'cached_only'],
      'Which requests are logged: all, or only those answered from the cache.',
    ),
    access_log_flush_interval: duration('5s', '100ms', '1h', 'How often lines are written out.'),
    access_log_file_rotation_interval: duration('5m', '1s', '1d', 'How often a new file is begun.'),
    access_log_retention_days: integer(30, 1, 3_650, 'Days after which access log files are removed.'),
    app_log_dir: path('Folder of the application log. Default: beside `access_log_dir`, in `app`.'),
    app_log_retention_days: integer(30, 1, 3_650, 'Days after which application log files are removed.'),
    log_level: choice('info', ['error', 'warn', 'info', 'debug', 'trace'], 'Least severe line of the application log.'),
  },
  { description: 'What is written down about requests and about Cistern itself.', additionalProperties: false },
);

const health = Type.Object(
  {
    enabled: flag(true, 'Answer health checks.'),
    endpoint: endpoint('/health', 'Path of the health check: 200 when all is well, else 503 with the reasons.'),
    port: integer(8080, 0, 65_535, 'Port of the health check. 0 takes any free port.'),
    bind_address: address('127.0.0.1', 'Address the health check listens on.'),
  },
  { description: 'Health check for load balancers and scripts.', additionalProperties: false },
);

const metrics = Type.Object(
  {
    enabled: flag(true, 'Offer metrics in the Prometheus text format.'),
    endpoint: endpoint('/metrics', 'Path of the metrics.'),
    port: integer(9090, 0, 65_535, 'Port of the metrics. 0 takes any free port.'),
    bind_address: address('127.0.0.1', 'Address the metrics listen on.'),
  },
  { description: 'Counters for Prometheus and compatible collectors.', additionalProperties: false },
);

const dashboard = Type.Object(
  {
    enabled: flag(true, 'Offer the dashboard.'),
    port: integer(8081, 0, 65_535, 'Port of the dashboard. 0 takes any free port.'),
    bind_address: address('127.0.0.1', 'Address the dashboard listens on.'),
  },
  { description: 'Dashboard in the browser.', additionalProperties: false },
);

export const SettingsSchema = Type.Object(
  { server, cache, connection_pool, compression, logging, health, metrics, dashboard },
  { title: 'Cistern settings', additionalProperties: false },
);

export type Settings = Static<typeof SettingsSchema>;
