import { expect, it } from 'vitest';
import type { RawHeaders } from '../../proxy-core/request/index.ts';
import type { Store } from '../../proxy-core/store/index.ts';
import { address, noise, openStore, tempFolder } from './helpers.ts';
import { CREATED, part, putPart, type SentPart, writtenHead } from './multipart.ts';

const OBJECT = address('k');
const PARTS = [part(1, noise(5 << 20)), part(2, noise(100))];
const COMPOSITE = ['x-amz-checksum-type', 'COMPOSITE'];

async function upload(store: Store, id: string, parts: readonly SentPart[], at: number, headers: RawHeaders = []) {
  await store.multipart.created(OBJECT, id, CREATED);
  for (const sent of parts) await putPart(store, OBJECT, id, sent, ['x-amz-checksum-sha256', `sum${sent.number}`]);
  await Promise.all([
    store.moveOn([OBJECT]),
    store.multipart.complete(OBJECT, id, parts, (_, length) => ({
      ...writtenHead(parts, length, headers),
      written: at,
    })),
  ]);
}

it('tells the checksums of the parts of the writing that is current, whoever has taken it', async () => {
  const folder = tempFolder();
  const [a, b] = [await openStore(folder), await openStore(folder)];
  const second = async () => b.store.catalog.parts.look(await b.store.catalog.look(OBJECT), 2);
  const place = { start: 5 << 20, end: (5 << 20) + 99 };
  const sums = ['x-amz-checksum-sha256', 'sum2', ...COMPOSITE];
  const at = Date.now() - 60_000;
  await upload(a.store, 'one', PARTS, at, COMPOSITE);
  const known = { ...place, headers: ['x-amz-mp-parts-count', '2', ...sums], checksumsKnown: true };
  expect(await second()).toMatchObject(known);

  // S3 dates it, by that write.
  const entry = await b.store.catalog.look(OBJECT);
  const { head, epoch } = entry;
  const dated = { ...head!, written: undefined, lastModified: at - 500 };
  b.store.adopt(entry, dated, { validatedAt: b.store.now(), epoch });
  expect(await second()).toMatchObject(known);

  // The same bytes again, past Cistern; then by way of a process, without checksums and with them.
  b.store.adopt(entry, { ...dated, lastModified: at + 10_000 }, { validatedAt: b.store.now(), epoch });
  const unknown = { ...place, headers: ['x-amz-mp-parts-count', '2'], checksumsKnown: false };
  expect(await second()).toMatchObject(unknown);
  await upload(a.store, 'two', PARTS, at + 20_000);
  b.store.catalog.lookAgain([OBJECT.storeKey]);
  expect(await second()).toMatchObject(unknown);
  await upload(a.store, 'three', PARTS, at + 30_000, COMPOSITE);
  b.store.catalog.lookAgain([OBJECT.storeKey]);
  expect(await second()).toMatchObject(known);
});
