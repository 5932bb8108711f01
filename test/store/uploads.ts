import type { ObjectAddress } from '../../proxy-core/request/index.ts';
import {
  type CopyOptions,
  type Head,
  type KeptContent,
  type Store,
  type UploadCopy,
  versionId,
} from '../../proxy-core/store/index.ts';
import { address } from './helpers.ts';

export const OBJECT = address('key');

/** What a PutObject tells of its object. */
export function writtenHead(length: number, etag = '"uploaded"'): Head {
  return {
    etag,
    length,
    version: versionId(etag, length),
    headers: ['Date', '', 'ETag', etag, 'Content-Type', 'text/plain', 'Content-Length', ''],
    lastModified: undefined,
    checksumsKnown: false,
    written: 1_763_800_000_000,
  };
}

export interface Copied {
  readonly copy: UploadCopy;
  /** Resolves at the next `onRoom`. */
  room(): Promise<void>;
}

export function startCopy(
  store: Store,
  options: Partial<CopyOptions> = {},
  object: ObjectAddress = OBJECT,
): Copied | undefined {
  let wake = () => {};
  const copy = store.copyUpload(object, {
    length: undefined,
    compression: 'off',
    ...options,
    onRoom: () => {
      wake();
      options.onRoom?.();
    },
  });
  const room = () =>
    new Promise<void>(resolve => {
      wake = resolve;
    });
  return copy && { copy, room };
}

/** Sends content as a client does that waits when it should. What was pushed is overwritten at once, as a socket's buffer is. */
export async function send({ copy, room }: Copied, content: Buffer, chunk = 60_000): Promise<void> {
  for (let at = 0; at < content.length; at += chunk) {
    const borrowed = Buffer.from(content.subarray(at, at + chunk));
    copy.push(borrowed);
    borrowed.fill(0xee);
    while (copy.busy) await room();
  }
}

/** The content aside, as it is when S3 has answered. */
export async function keep(
  store: Store,
  content: Buffer,
  options: Partial<CopyOptions> & { chunk?: number } = {},
): Promise<KeptContent> {
  const copied = startCopy(store, options);
  if (!copied) throw new Error('the store takes no upload');
  await send(copied, content, options.chunk);
  const kept = await copied.copy.end();
  if (!kept) throw new Error(`lost: ${copied.copy.lost}`);
  return kept;
}

/** An upload that S3 has accepted, whole. */
export async function upload(
  store: Store,
  head: Head,
  content: Buffer,
  options: { known?: boolean; compression?: 'off' | 'try'; ram?: boolean; chunk?: number } = {},
): Promise<void> {
  const { known = true, compression = 'off', ram = false, chunk = 60_000 } = options;
  const kept = await keep(store, content, { length: known ? content.length : undefined, compression, chunk });
  await Promise.all([
    store.moveOn([OBJECT]),
    store.publishUpload(OBJECT, head, kept, { ram, compress: compression === 'try' }),
  ]);
}

/** What the store has of a span, from disk; undefined where something of it is missing. */
export async function give(store: Store, from: number, to: number, object = OBJECT): Promise<Buffer | undefined> {
  const entry = await store.catalog.look(object);
  const { head } = entry;
  if (!head) return undefined;
  await store.list(entry, { start: from, end: Math.max(from, to) });
  const pieces: Buffer[] = [];
  for (let at = from; at <= to; ) {
    const content = await store.read(entry, head, { start: at, end: to }, { ram: false });
    if (!content) return undefined;
    pieces.push(...content.pieces.map(piece => Buffer.from(piece)));
    at += content.length;
    content.release();
  }
  return Buffer.concat(pieces);
}
