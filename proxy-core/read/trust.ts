import { Allowances, isFresh } from '../freshness/index.ts';
import { headerValue, parseHttpDate, type RawHeaders, setHeader } from '../request/index.ts';
import { type Head, isOtherVersion, type ObjectEntry, type Store, s3VersionOf } from '../store/index.ts';
import { headHeaders } from './answer.ts';
import { isOvertaken } from './learn.ts';
import type { ReadQuestion, ReadRequest } from './types.ts';

export interface TrustOptions {
  readonly store: Store;
  /** `caller`: a fresh object is served to those whom S3 let read it within the ttl. `shared`: to everybody. */
  readonly authorization: () => 'caller' | 'shared';
  /** ms for which a head may be served past its ttl when S3 is unreachable or answers 5xx. */
  readonly staleIfError: () => number;
}

/** Who may be served what without asking S3, and what S3's answers change about that (design section 5). */
export class Trust {
  readonly #options: TrustOptions;
  readonly #store: Store;
  readonly #allowances = new Allowances();

  constructor(options: TrustOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  /** Fresh, of the current epoch, and S3 let this caller have it within the ttl. */
  mayServe(request: ReadQuestion, entry: ObjectEntry): boolean {
    return !request.mustAsk && this.#within(request, entry, ttlOf(request));
  }

  /** A ttl lets what S3 says about one read hold for others. */
  mayTrust(request: ReadRequest): boolean {
    return ttlOf(request) > 0;
  }

  /** RFC 5861 in the owner's hands: `cache.stale_if_error`, never at ttl 0, only to a caller whose allowance is as young. */
  mayServeStale(request: ReadRequest, entry: ObjectEntry): boolean {
    const ttl = ttlOf(request);
    const staleIfError = this.#options.staleIfError();
    if (staleIfError <= 0 || ttl <= 0 || request.mustAsk) return false;
    return this.#within(request, entry, ttl + staleIfError);
  }

  /** S3 let this caller read the object, by a request sent at `sentAt` in `epoch`. */
  allow({ caller, kind }: ReadRequest, entry: ObjectEntry, epoch: string, sentAt: number): void {
    this.#allowances.grant(entry, caller, kind.method, epoch, sentAt);
  }

  /** S3 vouched for `head`, and with it for this caller. Meanwhile another version may have become the entry's. */
  vouched(request: ReadRequest, entry: ObjectEntry, head: Head, epoch: string, sentAt: number): void {
    const { get_ttl, head_ttl } = request.settings;
    // The same bytes with another date are another writing of them, which S3 did not speak of.
    if (entry.head?.version === head.version && entry.head.lastModified === head.lastModified)
      this.#store.catalog.touch(entry, sentAt, epoch, Math.max(get_ttl, head_ttl));
    this.allow(request, entry, epoch, sentAt);
  }

  /** What an answer without a body to keep means: gone, forbidden, or a 304 to the caller's own precondition. */
  heard(
    request: ReadRequest,
    entry: ObjectEntry,
    answer: { status: number; headers: RawHeaders },
    epoch: string,
    sentAt: number,
  ): void {
    const { status, headers } = answer;
    if (status === 404 || status === 410) {
      if (!isOvertaken(entry, epoch)) void this.#store.catalog.drop(entry);
    } else if (status === 401 || status === 403) this.#allowances.revoke(entry, request.caller, sentAt);
    else if (status === 304 && entry.head && headerValue(headers, 'etag') === entry.head.etag) {
      const modified = headerValue(headers, 'last-modified');
      // The same bytes written again, perhaps with other metadata: only a full answer can tell.
      const rewritten =
        isOtherVersion(s3VersionOf(entry.head.headers), s3VersionOf(headers)) ||
        (modified !== undefined && parseHttpDate(modified) !== entry.head.lastModified);
      if (rewritten) this.#store.catalog.distrust(entry);
      // A write has come between, which changed something else than the bytes.
      else if (entry.headEpoch !== epoch) this.allow(request, entry, epoch, sentAt);
      else this.vouched(request, entry, entry.head, epoch, sentAt);
    }
  }

  /** Fields of a 304 replace the head's (RFC 9111 section 3.2). */
  update(entry: ObjectEntry, headers: RawHeaders, epoch: string, sentAt: number): void {
    const { head } = entry;
    if (!head || isOvertaken(entry, epoch)) return;
    let updated: RawHeaders = head.headers;
    const fields = headHeaders(headers, true);
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const [name, value] = [fields[i]!, fields[i + 1]!];
      const lower = name.toLowerCase();
      if (lower === 'date' || lower.startsWith('content-')) continue;
      if (headerValue(updated, lower) !== value) updated = setHeader(updated, name, value);
    }
    if (updated === head.headers) return;
    const modified = headerValue(updated, 'last-modified');
    const lastModified = modified === undefined ? undefined : parseHttpDate(modified);
    // What a write told is complete with the date.
    const current = { ...head, headers: updated, lastModified, written: undefined, begun: undefined };
    this.#store.adopt(entry, current, { validatedAt: sentAt, epoch });
    void this.#store.keepHead(entry, current, { validatedAt: sentAt, epoch });
  }

  #within({ kind, caller }: ReadQuestion, entry: ObjectEntry, age: number): boolean {
    const now = this.#store.now();
    if (!isFresh(entry, age, now) || entry.validatedAt <= this.#store.doubtedUntil) return false;
    if (this.#store.catalog.isDirty(entry)) return false;
    return this.#options.authorization() === 'shared' || this.#allowances.allows(entry, caller, kind.method, age, now);
  }
}

function ttlOf({ kind, settings }: ReadQuestion): number {
  return kind.method === 'GET' ? settings.get_ttl : settings.head_ttl;
}
