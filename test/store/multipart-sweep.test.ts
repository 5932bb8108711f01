import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { harm, system } from './harm.ts';
import { address, halfWrittenIn, noise, openStore, tempFolder, until } from './helpers.ts';
import { CREATED, complete, give, part, putPart, stagedIn } from './multipart.ts';

const OBJECT = address('key');
const DAY = 86_400_000;
const MIB = 1 << 20;

/** As if the last part had come so long ago. */
function age(folder: string, upload: string, ms: number): void {
  const then = new Date(Date.now() - ms);
  utimesSync(join(folder, 'uploads', upload), then, then);
}

describe('an upload that is neither completed nor aborted', () => {
  it('is reclaimed incomplete_upload_ttl after its last part; one whose parts still come is not', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    for (const id of ['old', 'young']) {
      await first.store.multipart.created(OBJECT, id, CREATED);
      await putPart(first.store, OBJECT, id, part(1, noise(9 * MIB)));
      for (const upload of stagedIn(folder)) age(folder, upload, DAY + 1000);
    }
    await putPart(first.store, OBJECT, 'young', part(2, noise(100)));
    await first.store.capacity.settled();
    const before = first.store.capacity.bytes;
    await first.close();
    const { store } = await openStore(folder);
    await until(() => stagedIn(folder).length === 1 && halfWrittenIn(folder).length === 0);
    await store.capacity.settled();
    expect(before - store.capacity.bytes).toBeGreaterThan(9 * MIB);
    const parts = [part(1, noise(9 * MIB)), part(2, noise(100))];
    await complete(store, OBJECT, 'young', parts);
    expect((await give(store, OBJECT))?.length).toBe(9 * MIB + 100);
  });

  it('is reclaimed while running, and no longer counts', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { uploadPercent: 100, incompleteUploadTtl: 1000 });
    await store.multipart.created(OBJECT, 'id', CREATED);
    const began = Date.now();
    await putPart(store, OBJECT, 'id', part(1, noise(9 * MIB)));
    expect(store.capacity.bytes).toBeGreaterThan(9 * MIB);
    await until(() => stagedIn(folder).length === 0);
    expect(Date.now() - began).toBeGreaterThan(900);
    await until(() => halfWrittenIn(folder).length === 0 && store.capacity.bytes < MIB);
  });

  it('is reclaimed once by several processes that look at the same time', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    for (let i = 0; i < 20; i++) await first.store.multipart.created(OBJECT, `${i}`, CREATED);
    for (const upload of stagedIn(folder)) age(folder, upload, 2 * DAY);
    const others = await Promise.all([openStore(folder), openStore(folder), openStore(folder)]);
    await until(() => stagedIn(folder).length === 0 && halfWrittenIn(folder).length === 0);
    for (const { counters } of others) expect(counters.disk_errors).toBe(0);
  });

  it('is reclaimed though another one can’t be', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    for (const id of ['a', 'b', 'c']) await first.store.multipart.created(OBJECT, id, CREATED);
    await first.close();
    const uploads = stagedIn(folder);
    for (const upload of uploads) age(folder, upload, 2 * DAY);
    const refused = uploads[1]!;
    harm(['stat'], path => (path.endsWith(refused) ? system('EACCES') : undefined));
    const { problems } = await openStore(folder);
    await until(() => stagedIn(folder).length === 1);
    expect(stagedIn(folder)).toEqual([refused]);
    expect(problems.get('write EACCES')).toMatch(/EACCES/);
  });

  it('goes also where its Create was cut off by a crash, and with files that are nobody’s', async () => {
    const folder = tempFolder();
    const bare = join(folder, 'uploads', 'a'.repeat(64));
    mkdirSync(bare, { recursive: true });
    writeFileSync(join(bare, '1-00.0-9'), 'half');
    age(folder, 'a'.repeat(64), 2 * DAY);
    await openStore(folder);
    await until(() => readdirSync(join(folder, 'uploads')).length === 0);
  });
});
