/**
 * Plain integers, bumped on the hot path; everything that shows numbers reads them (status, health, metrics, window).
 * All counts are since the process started. Bytes are body bytes.
 */
export class Counters {
  requests = 0;
  hits = 0;
  revalidated = 0;
  partial = 0;
  misses = 0;
  bypasses = 0;
  errors = 0;
  bytes_from_cache = 0;
  bytes_from_s3 = 0;
  bytes_to_clients = 0;
  bytes_uploaded = 0;
  s3_requests = 0;
  active_requests = 0;
  active_connections = 0;
  disk_errors = 0;
  disk_corrupt = 0;
  disk_skipped = 0;
  epochs_moved = 0;
  uploads_kept = 0;
  access_log_dropped = 0;
  readonly bypass_reasons = new Map<string, number>();
  /** Why objects that were uploaded were not kept. */
  readonly upload_reasons = new Map<string, number>();

  bypass(reason: string): void {
    this.bypasses++;
    count(this.bypass_reasons, reason);
  }

  passUploadBy(reason: string): void {
    count(this.upload_reasons, reason);
  }
}

function count(reasons: Map<string, number>, reason: string): void {
  reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
}
