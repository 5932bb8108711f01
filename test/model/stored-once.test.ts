import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, it } from 'vitest';
import { EXTENT } from '../../proxy-core/store/index.ts';
import { address, filesIn, fillWhole, headOf, noise, openStore, tempFolder } from '../store/helpers.ts';
import { overlaps } from './stored-once.ts';

it.each([
  ['large', EXTENT + 1000, `${EXTENT + 5}-${EXTENT + 9}`],
  ['of one extent', 100_000, '99999-99999'],
])('an object (%s) is found to be stored twice where two extents share a byte', async (_, length, name) => {
  const folder = tempFolder();
  const { store, close } = await openStore(folder);
  const head = headOf(length);
  const entry = await store.catalog.look(address('key'));
  store.adopt(entry, head, { validatedAt: 1, epoch: '' });
  await fillWhole(store, entry, head, noise(length));
  await close();
  expect(await overlaps(folder)).toEqual([]);
  const [extent] = filesIn(folder).filter(path => path.endsWith(`-${length - 1}`));
  copyFileSync(extent!, extent!.replace(/\d+-\d+$/, name));
  expect(await overlaps(folder)).toEqual([expect.stringContaining(name)]);
});

it('a small object is found to be stored twice where an extent holds bytes of the body behind its head, unless that is damaged', async () => {
  const folder = tempFolder();
  const { store, close } = await openStore(folder);
  const head = headOf(50_000);
  const entry = await store.catalog.look(address('key'));
  const stamp = { validatedAt: 1, epoch: '' };
  store.adopt(entry, head, stamp);
  await store.keepSmall(entry, head, stamp, noise(head.length), { ram: false, compress: false });
  await close();
  expect(await overlaps(folder)).toEqual([]);
  const [path] = filesIn(folder).filter(name => name.endsWith('.head'));
  writeFileSync(path!.replace(/head$/, `${head.version}.100-199`), '');
  expect(await overlaps(folder)).toEqual([expect.stringContaining(basename(path!))]);
  const file = readFileSync(path!);
  file[file.length - 30_000]! ^= 1;
  writeFileSync(path!, file);
  expect(await overlaps(folder)).toEqual([]);
});
