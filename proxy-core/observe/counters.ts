/** What is now, and no count of what has been. */
export const LEVELS = ['active_requests', 'active_connections'] as const;
export type Level = (typeof LEVELS)[number];

type Numbers<T> = { [K in keyof T]: T[K] extends number ? K : never }[keyof T];
/** The names of all counters that are a number. */
export type CounterName = Numbers<Counters>;

/** The counters as plain data; `bypass_reasons` counts bypassed requests by reason, `upload_reasons` uploads not kept. */
export type CounterValues = { readonly [K in CounterName]: number } & {
  readonly bypass_reasons: Readonly<Record<string, number>>;
  readonly upload_reasons: Readonly<Record<string, number>>;
};

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
    count(this.bypass_reasons, reason, 1);
  }

  passUploadBy(reason: string): void {
    count(this.upload_reasons, reason, 1);
  }

  values(): CounterValues {
    const { bypass_reasons, upload_reasons, ...numbers } = this as Counters;
    return {
      ...numbers,
      bypass_reasons: Object.fromEntries(bypass_reasons),
      upload_reasons: Object.fromEntries(upload_reasons),
    };
  }

  /** Adds what another process has counted. */
  add({ bypass_reasons, upload_reasons, ...numbers }: CounterValues): void {
    for (const [name, value] of Object.entries(numbers)) this[name as CounterName] += value;
    for (const [reason, value] of Object.entries(bypass_reasons)) count(this.bypass_reasons, reason, value);
    for (const [reason, value] of Object.entries(upload_reasons)) count(this.upload_reasons, reason, value);
  }
}

function count(reasons: Map<string, number>, reason: string, more: number): void {
  reasons.set(reason, (reasons.get(reason) ?? 0) + more);
}
