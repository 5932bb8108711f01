import { EXTENT, type Fill, type Head, isSameHead, type ObjectEntry, SMALL, type Store } from '../store/index.ts';
import { mayCompress } from './compressible.ts';
import { isOvertaken, type Learnt, mergeHeads } from './learn.ts';
import type { ReadSettings } from './types.ts';
import type { Window } from './window.ts';

export interface KeepingOptions {
  readonly store: Store;
  readonly entry: ObjectEntry;
  /** The object's epoch before the request was sent. */
  readonly epoch: string;
  /** When it was sent; on the volume's clock, ms. */
  readonly sentAt: number;
  readonly partNumber: number | undefined;
  readonly settings: ReadSettings;
  /** See the fill's options. */
  shared(): boolean;
  urgent(): boolean;
  onChange(): void;
}

/** What of a flight's answer goes to the store: its head at once, its body by a fill or, where it is small, in one piece. */
export class Keeping {
  readonly head: Head;
  /** Undefined where the body is small, empty, or not kept. */
  readonly fill: Fill | undefined;
  /** The body is kept in one piece, when it is whole. */
  readonly small: boolean;
  readonly #options: KeepingOptions;

  constructor(learnt: Learnt, options: KeepingOptions) {
    this.#options = options;
    const { store, entry, epoch, sentAt, settings } = options;
    const { span, part } = learnt;
    const known = entry.head;
    const head = mergeHeads(known, learnt.head);
    this.head = head;
    this.small = false;
    if (isOvertaken(entry, epoch)) return;
    const overtaken = entry.headEpoch !== epoch;
    const stamp = { validatedAt: sentAt, epoch };
    store.adopt(entry, head, stamp);
    if (part) void store.catalog.parts.publish(entry, head, options.partNumber ?? 0, part).catch(() => {});
    this.small = head.length <= SMALL && (!span || span.end - span.start + 1 === head.length);
    if (this.small || (!store.takesFills && !settings.ram_cache_eligible)) return;
    if (overtaken || !isSameHead(known, head)) void store.keepHead(entry, head, stamp);
    else store.catalog.touch(entry, sentAt, epoch, Math.max(settings.get_ttl, settings.head_ttl));
    if (!span) return;
    this.fill = store.fill(entry, head, span, {
      // A large object read once is best left to the disk; what of it is read again enters RAM from there.
      ram: settings.ram_cache_eligible && (head.length <= EXTENT || !store.takesFills),
      compression: mayCompress(settings, head, entry.address.key) ? 'try' : 'off',
      shared: options.shared,
      urgent: options.urgent,
      onChange: options.onChange,
    });
  }

  /** No more comes. Resolves when what is kept has its place. */
  async end(complete: boolean, window: Window): Promise<void> {
    if (this.small && complete) await this.#keepSmall(window);
    else await this.fill?.end();
  }

  async #keepSmall(window: Window): Promise<void> {
    const { store, entry, epoch, sentAt, settings } = this.#options;
    const { head } = this;
    const body = Buffer.allocUnsafeSlow(head.length);
    const taken = window.take(0, head.length);
    let at = 0;
    for (const piece of taken?.pieces ?? []) at += piece.copy(body, at);
    taken?.release();
    await store.keepSmall(entry, head, { validatedAt: sentAt, epoch }, body, {
      ram: settings.ram_cache_eligible,
      compress: mayCompress(settings, head, entry.address.key),
    });
  }
}
