/**
 * Keys of the reference's YAML (sample-s3-hybrid-cache 2.6) that mean nothing here, or not yet, each with the reason a
 * person gets to read. A reference user's file starts Cistern, but nothing in it is dropped silently.
 */
export interface ReferenceKey {
  readonly why: string;
  /** Values that say what Cistern does anyway, and so need no warning. */
  readonly silent?: readonly unknown[];
  /** Where only these words make sense. */
  readonly words?: readonly string[];
}

const LISTENERS =
  'listeners on 80, 443 and 3129 come in a later version; the forward proxy serves on server.proxy_port';
const NO_LOCKS = 'processes that share a cache folder need no locks and no consolidation here';
const NO_SCAN = 'no scan is needed at the start; files are found by name';
const BACKGROUND = 'the scan in the background paces itself';
const FLIGHTS =
  'reads of the same bytes always share one fetch, and wait no longer than connection_pool.upstream_first_byte_timeout';
const EVICTION = 'eviction keeps the cache under max_cache_size by itself';
const STREAMED = 'bodies are streamed whatever their size, within cache.memory_budget';
const RAM_WRITES = 'the memory tier needs no flushing';
const OTLP = 'OTLP export comes in a later version; metrics are offered in the Prometheus text format';
const PER_BUCKET = 'metrics by bucket come in a later version';
const DASHBOARD = 'the dashboard is fed as things happen';
const BANDWIDTH = 'limits on download bandwidth come in a later version';
const KERNEL = 'this is left to the operating system';

export const REFERENCE_KEYS: ReadonlyMap<string, ReferenceKey> = table({
  'server.mode': { why: LISTENERS, silent: ['proxy_only'], words: ['proxy_only', 'standard'] },
  'server.http_port': LISTENERS,
  'server.https_port': LISTENERS,
  'server.https_mode': LISTENERS,
  'server.tls.enabled': { why: LISTENERS, silent: [false] },
  'server.tls.tls_proxy_port': LISTENERS,
  'server.tls.cert_path': LISTENERS,
  'server.tls.key_path': LISTENERS,
  'server.tls.connect_allowlist': LISTENERS,
  'server.request_timeout':
    'a request has no limit as a whole; server.header_timeout and server.idle_timeout bound its parts',
  'server.add_referer_header': { why: 'requests reach S3 as the client sent them, nothing is added', silent: [false] },
  'server.max_buffered_request_body_bytes': STREAMED,
  'server.write_cache_tee_channel_depth': STREAMED,
  'server.max_inflight_buffer_bytes': 'cache.memory_budget is the limit',

  'cache.ram_cache_shard_count': 'the memory tier is one',
  'cache.eviction_trigger_percent': EVICTION,
  'cache.eviction_target_percent': EVICTION,
  'cache.eviction_buffer_percent': EVICTION,
  'cache.actively_remove_cached_data': {
    why: 'an object past its ttl is revalidated, and leaves when space is needed',
    silent: [false],
  },
  'cache.full_object_check_threshold': 'what is cached of an object is known without a check',
  'cache.disk_streaming_threshold': STREAMED,
  'cache.compression_batch_size': 'content is compressed in units that can be read by themselves',
  'cache.partial_range_commit_ratio': 'what arrived of a read that was cut is always kept',
  'cache.ram_cache_flush_interval': RAM_WRITES,
  'cache.ram_cache_flush_threshold': RAM_WRITES,
  'cache.ram_cache_flush_on_eviction': RAM_WRITES,
  'cache.ram_cache_verification_interval': 'memory is checked against a shared volume at most once a second',
  'cache.bucket_settings_staleness_threshold': 'changed bucket settings are seen within seconds',
  'cache.max_complete_body_bytes': STREAMED,
  'cache.max_metadata_file_bytes': 'what Cistern writes about an object is small',
  'cache.metadata_io_concurrency': 'the number of disk operations at a time is bounded by Cistern',
  'cache.initialization.parallel_scan': NO_SCAN,
  'cache.initialization.scan_timeout': NO_SCAN,
  'cache.initialization.progress_logging': NO_SCAN,
  'cache.metadata_cache.enabled': {
    why: 'heads are always kept in memory, metadata_cache.max_entries of them',
    silent: [true],
  },
  'cache.metadata_cache.refresh_interval': 'memory is checked against a shared volume at most once a second',
  'cache.metadata_cache.stale_handle_max_retries': 'a stale handle is a miss',
  'cache.download_coordination.enabled': { why: FLIGHTS, silent: [true] },
  'cache.download_coordination.wait_timeout_secs': FLIGHTS,
  'cache.download_coordination.max_waiter_resubscriptions': FLIGHTS,
  'cache.shared_storage.lock_timeout': NO_LOCKS,
  'cache.shared_storage.lock_refresh_interval': NO_LOCKS,
  'cache.shared_storage.lock_max_retries': NO_LOCKS,
  'cache.shared_storage.metadata_lock_timeout_ms': NO_LOCKS,
  'cache.shared_storage.eviction_lock_timeout': NO_LOCKS,
  'cache.shared_storage.consolidation_interval': NO_LOCKS,
  'cache.shared_storage.consolidation_size_threshold': NO_LOCKS,
  'cache.shared_storage.consolidation_cycle_timeout': NO_LOCKS,
  'cache.shared_storage.recovery_max_concurrent': BACKGROUND,
  'cache.shared_storage.validation_frequency': BACKGROUND,
  'cache.shared_storage.validation_max_duration': BACKGROUND,
  'cache.shared_storage.validation_threshold_warn': BACKGROUND,
  'cache.shared_storage.validation_threshold_error': BACKGROUND,
  'cache.shared_storage.orphan_recovery_enabled': BACKGROUND,
  'cache.shared_storage.orphan_recovery_interval': BACKGROUND,
  'cache.shared_storage.orphan_scan_timeout': BACKGROUND,
  'cache.shared_storage.orphan_max_per_cycle': BACKGROUND,

  'logging.access_log_buffer_size': 'lines are written out every logging.access_log_flush_interval',
  'logging.log_cleanup_interval': 'old log files are removed when a new one is begun',

  'connection_pool.pool_check_interval': 'dns_refresh_interval and the health_probe cooldowns are kept exactly',
  'connection_pool.max_idle_per_host':
    'connections are pooled by address; see max_idle_per_ip and connections_per_address',
  'connection_pool.max_connections_per_ip': 'see connections_per_address',
  'connection_pool.max_lifetime': 'connections are closed when idle for connection_pool.idle_timeout, or by S3',
  'connection_pool.ip_distribution_enabled': {
    why: 'requests are always spread over the addresses of a host',
    silent: [true],
  },
  'connection_pool.keepalive_idle_secs': KERNEL,
  'connection_pool.keepalive_interval_secs': KERNEL,
  'connection_pool.keepalive_retries': KERNEL,
  'connection_pool.tcp_recv_buffer_size': KERNEL,
  'connection_pool.max_registered_endpoints': 'hosts that are no longer asked for are forgotten',
  'connection_pool.upstream_idle_retries':
    'a read that S3 did not answer is tried again within bounds, one that was cut goes on where it stopped',
  'connection_pool.hedged_requests.max_inflight_fraction': 'hedged requests are not made',

  'compression.preferred_algorithm': { why: 'content is compressed with LZ4', silent: ['lz4'] },
  'compression.content_aware': { why: 'content that does not shrink is always stored as it is', silent: [true] },

  'health.check_interval': 'health is found when it is asked for',
  'metrics.collection_interval': 'metrics are read when they are asked for',
  'metrics.include_cache_stats': { why: 'all metrics are offered', silent: [true] },
  'metrics.include_compression_stats': { why: 'all metrics are offered', silent: [true] },
  'metrics.include_connection_stats': { why: 'all metrics are offered', silent: [true] },
  'metrics.otlp.enabled': { why: OTLP, silent: [false] },
  'metrics.otlp.endpoint': OTLP,
  'metrics.otlp.export_interval': OTLP,
  'metrics.otlp.timeout': OTLP,
  'metrics.otlp.compression': OTLP,
  'metrics.otlp.headers': OTLP,
  'metrics.otlp.per_bucket_enabled': { why: PER_BUCKET, silent: [false] },
  'metrics.per_bucket.max_series': PER_BUCKET,
  'metrics.per_bucket.bucket_prefixes': PER_BUCKET,

  'dashboard.cache_stats_refresh_interval': DASHBOARD,
  'dashboard.logs_refresh_interval': DASHBOARD,
  'dashboard.max_log_entries': 'the application log is in logging.app_log_dir',

  'download_bandwidth.max_bytes_per_sec': { why: BANDWIDTH, silent: [0] },
  'download_bandwidth.caller_id.enabled': { why: BANDWIDTH, silent: [false] },
  'download_bandwidth.caller_id.validation_regex': BANDWIDTH,
  'download_bandwidth.caller_id.max_len': BANDWIDTH,
  'download_bandwidth.max_tracked_classes': BANDWIDTH,
  'download_bandwidth.fleet.fallback_instance_count': BANDWIDTH,
  'download_bandwidth.fleet.instance_staleness': BANDWIDTH,
  'download_bandwidth.fleet.refresh_interval': BANDWIDTH,
});

function table(keys: Readonly<Record<string, string | ReferenceKey>>): ReadonlyMap<string, ReferenceKey> {
  return new Map(Object.entries(keys).map(([path, key]) => [path, typeof key === 'string' ? { why: key } : key]));
}
