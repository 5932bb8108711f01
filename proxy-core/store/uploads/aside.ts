import type { Span } from '../../request/index.ts';
import type { Piece } from '../buffer-pool.ts';
import { DamagedExtent } from '../disk/extent-file.ts';
import { type Binding, indexSize, rebindIndex } from '../disk/extent-format.ts';
import type { Aside, Room } from '../disk/extent-output.ts';
import type { Scratch } from '../disk/scratch.ts';
import type { Volume } from '../disk/volume.ts';
import type { AsideFile, KeptContent } from './types.ts';

/** What the files of an upload's content are bound to until it is published: the object, and no version yet. */
export function noVersion(hash: string): Binding {
  return { hash, version: '0'.repeat(32) };
}

/** Makes a file aside an extent of `to`, by its index alone. Rejects where it is damaged. */
export async function bind(
  volume: Volume,
  file: { readonly path: string; readonly size: number },
  from: { binding: Binding; span: Span },
  to: { binding: Binding; span: Span },
): Promise<void> {
  const fd = await volume.open(file.path, 'r+');
  try {
    const length = Math.min(file.size, indexSize(from.span));
    const tail = Buffer.allocUnsafeSlow(length);
    const got = await volume.read(fd, tail, 0, length, file.size - length);
    const index = got === length ? rebindIndex(tail, from, to) : undefined;
    if (!index) throw new DamagedExtent('an upload’s file aside is damaged');
    if ((await volume.write(fd, index, file.size - index.length)) !== index.length) throw new Error('short write');
  } finally {
    volume.close(fd).catch(() => {});
  }
}

export interface KeptOptions {
  readonly scratch: Scratch;
  readonly room: Room;
  readonly length: number;
  readonly small: { readonly content: Buffer; readonly piece: Piece | undefined } | undefined;
  readonly files: readonly Aside[];
}

/** Content that has come whole, and what is taken for it in memory or on the disk. */
export class Kept implements KeptContent {
  readonly length: number;
  readonly small: Buffer | undefined;
  readonly #options: KeptOptions;
  /** Those that are still to be given back. */
  readonly #held: Set<AsideFile>;
  #piece: Piece | undefined;

  constructor(options: KeptOptions) {
    this.#options = options;
    this.length = options.length;
    this.small = options.small?.content;
    this.#piece = options.small?.piece;
    this.#held = new Set(options.files);
  }

  get files(): readonly AsideFile[] {
    return this.#options.files;
  }

  handedOver(file?: AsideFile): void {
    for (const aside of this.#options.files)
      if ((file === undefined || aside === file) && this.#held.delete(aside))
        this.#options.room.release(aside.reserved);
    if (file === undefined) this.#letGo();
  }

  discard(): void {
    const { files, room, scratch } = this.#options;
    for (const aside of files) {
      if (!this.#held.delete(aside)) continue;
      scratch.drop(aside.path);
      room.release(aside.reserved);
    }
    this.#letGo();
  }

  #letGo(): void {
    this.#piece?.release();
    this.#piece = undefined;
  }
}
