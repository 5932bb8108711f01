import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ObjectAddress, RawHeaders } from '../../proxy-core/request/index.ts';
import { type Head, type KeptContent, type Store, versionId } from '../../proxy-core/store/index.ts';
import { filesIn } from './helpers.ts';

/** A part as S3's answer to its upload tells of it, with the content that was sent. */
export interface SentPart {
  readonly number: number;
  readonly etag: string;
  readonly content: Buffer;
}

export function part(number: number, content: Buffer): SentPart {
  return { number, etag: `"${createHash('md5').update(content).digest('hex')}"`, content };
}

/** A copy of what one upload carries, as the relay makes it: in chunks, pausing when it should. */
export async function copyOf(
  store: Store,
  object: ObjectAddress,
  content: Buffer,
  compression: 'off' | 'try' = 'off',
): Promise<KeptContent> {
  let room = () => {};
  const copy = store.copyUpload(object, { length: content.length, compression, onRoom: () => room() });
  if (!copy) throw new Error('the disk takes nothing');
  for (let at = 0; at < content.length; at += 1 << 20) {
    copy.push(content.subarray(at, at + (1 << 20)));
    while (copy.busy && copy.lost === undefined)
      await new Promise<void>(resolve => {
        room = resolve;
      });
  }
  const kept = await copy.end();
  if (!kept) throw new Error(`the copy was lost: ${copy.lost}`);
  return kept;
}

export const CREATED = { headers: ['Content-Type', 'text/plain'], unknowable: false };

export async function putPart(
  store: Store,
  object: ObjectAddress,
  uploadId: string,
  { number, etag, content }: SentPart,
  checksums: RawHeaders = [],
): Promise<void> {
  const kept = await copyOf(store, object, content);
  await store.multipart.keepPart(object, uploadId, { number, etag, checksums }, kept);
}

/** The ETag that S3 makes of parts. */
export function etagOf(parts: readonly SentPart[]): string {
  const digests = createHash('md5');
  for (const { etag } of parts) digests.update(etag.replaceAll('"', ''), 'hex');
  return `"${digests.digest('hex')}-${parts.length}"`;
}

/** The head that a Complete of these parts tells. */
export function writtenHead(parts: readonly SentPart[], length: number, headers: RawHeaders = []): Head {
  const etag = etagOf(parts);
  return {
    etag,
    length,
    version: versionId(etag, length),
    headers: ['Content-Type', 'text/plain', 'ETag', etag, 'Content-Length', '', ...headers],
    lastModified: undefined,
    checksumsKnown: true,
    written: Date.now(),
  };
}

/** S3 has made the object of these parts: what a process does before its client hears of it. */
export async function complete(
  store: Store,
  object: ObjectAddress,
  uploadId: string,
  parts: readonly SentPart[],
  headers: RawHeaders = [],
): Promise<void> {
  await Promise.all([
    store.moveOn([object]),
    store.multipart.complete(object, uploadId, parts, (_created, length) => writtenHead(parts, length, headers)),
  ]);
}

/** What the store gives of a span of the object's current version; undefined where something of it is missing. */
export async function give(
  store: Store,
  object: ObjectAddress,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): Promise<Buffer | undefined> {
  const entry = await store.catalog.look(object);
  const { head } = entry;
  if (!head) return undefined;
  const end = Math.min(to, head.length - 1);
  if (!entry.inline) await store.list(entry, { start: from, end });
  const pieces: Buffer[] = [];
  for (let at = from; at <= end; ) {
    const content = await store.read(entry, head, { start: at, end }, { ram: false });
    if (!content) return undefined;
    pieces.push(...content.pieces.map(piece => Buffer.from(piece)));
    at += content.length;
    content.release();
  }
  return Buffer.concat(pieces);
}

/** Fails where a byte that the store gives of the object is not the one that was uploaded; returns how many it gave. */
export async function givenRightly(store: Store, object: ObjectAddress, uploaded: Buffer): Promise<number> {
  const entry = await store.catalog.look(object);
  const { head } = entry;
  if (!head || head.length === 0) return 0;
  if (head.length !== uploaded.length) throw new Error(`${head.length} bytes instead of ${uploaded.length}`);
  if (!entry.inline) await store.list(entry, { start: 0, end: head.length - 1 });
  let given = 0;
  for (let at = 0; at < head.length; ) {
    const content = await store.read(entry, head, { start: at, end: head.length - 1 }, { ram: false });
    if (!content) {
      at += 65_536 - (at % 65_536);
      continue;
    }
    const bytes = Buffer.concat(content.pieces);
    if (!bytes.equals(uploaded.subarray(at, at + bytes.length))) throw new Error(`other bytes at ${at}`);
    given += bytes.length;
    at += bytes.length;
    content.release();
  }
  return given;
}

/** Folders of uploads that are neither completed nor aborted. */
export function stagedIn(folder: string): string[] {
  const stage = join(folder, 'uploads');
  return existsSync(stage) ? readdirSync(stage) : [];
}

/** Files of the object's parts that wait for Complete. */
export function stagedFilesIn(folder: string): string[] {
  return filesIn(join(folder, 'uploads'));
}
