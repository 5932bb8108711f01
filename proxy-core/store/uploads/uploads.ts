import type { ObjectAddress } from '../../request/index.ts';
import type { Blocks } from '../blocks.ts';
import type { BufferPool } from '../buffer-pool.ts';
import type { Catalog } from '../catalog.ts';
import type { Disk } from '../disk/disk.ts';
import type { Extents } from '../extents.ts';
import type { Head } from '../head.ts';
import type { StoreOptions } from '../options.ts';
import { Copying } from './copy.ts';
import { Deletions } from './deletions.ts';
import { MultipartStage } from './multipart-stage.ts';
import { Publisher } from './publisher.ts';
import type { CopyOptions, KeptContent, UploadCopy, UploadStore } from './types.ts';

export interface UploadsOptions {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly extents: Extents;
  readonly blocks: Blocks;
  readonly pool: BufferPool;
  readonly store: StoreOptions;
}

/** What is kept of uploads: from their first byte to their place in the cache. */
export class Uploads implements UploadStore {
  readonly multipart: MultipartStage;
  readonly #options: UploadsOptions;
  readonly #publisher: Publisher;
  readonly #deletions: Deletions;

  constructor(options: UploadsOptions) {
    this.#options = options;
    const { disk, catalog, store } = options;
    const { capacity, scratch, trouble } = disk;
    const onFailed = (error: Error) => trouble.writing(error);
    this.#deletions = new Deletions({ catalog, onFailed });
    this.#publisher = new Publisher({
      ...options,
      scratch,
      deadline: store.diskTimeout,
      alone: () => disk.alone,
      takes: () => disk.takes,
      onUnread: upload => capacity.addUnread(upload),
      onFailed,
    });
    this.multipart = new MultipartStage({
      scratch,
      cacheDir: store.cacheDir,
      deadline: store.diskTimeout,
      ttl: store.incompleteUploadTtl,
      now: () => disk.now(),
      onBytes: (bytes, path) => capacity.add(bytes, path),
      takes: () => disk.takes,
      onIncomplete: () =>
        this.#notKept('upload_parts', 'a multipart upload was not kept: not every part of it had been'),
      onFailed,
      publisher: this.#publisher,
      tables: catalog.parts.tables,
    });
  }

  start(): void {
    this.multipart.start();
  }

  stop(): void {
    this.multipart.stop();
    this.#deletions.stop();
  }

  copyUpload(address: ObjectAddress, options: CopyOptions): UploadCopy | undefined {
    const { disk, catalog, pool, store } = this.#options;
    const room = disk.capacity.uploads;
    if (!disk.takes) return undefined;
    if (!room.takes(options.length)) {
      this.#notKept(
        'upload_room',
        'an upload was not kept: no room is left in what uploads may take (cache.write_cache_percent)',
      );
      return undefined;
    }
    // What is there now has to be known when this takes its place.
    void catalog.look(address);
    return new Copying({
      ...options,
      scratch: disk.scratch,
      pool,
      room,
      hash: catalog.entry(address).paths.hash,
      deadline: store.diskTimeout,
      onLost: reason => this.#notKept('upload_copy', `an upload was not kept: ${reason}`),
    });
  }

  publishUpload(
    address: ObjectAddress,
    head: Head,
    content: KeptContent,
    options: { ram: boolean; compress: boolean },
  ): Promise<void> {
    return this.#publisher.publish(address, head, content, options);
  }

  forget(address: ObjectAddress): void {
    this.#deletions.add(this.#options.catalog.entry(address));
  }

  #notKept(key: string, message: string): void {
    const { counters, onEvent } = this.#options.store;
    counters.disk_skipped++;
    onEvent(key, message);
  }
}
