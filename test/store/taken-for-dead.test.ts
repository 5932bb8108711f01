import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { address, filesIn, fillWhole, headOf, noise, openStore, startFill, tempFolder, until } from './helpers.ts';

it('a process that others have taken for dead, which comes back in the middle of a fill, loses that extent and goes on', async () => {
  const cacheDir = tempFolder();
  const { store, problems } = await openStore(cacheDir);
  const content = noise(6 << 20);
  const entry = store.catalog.entry(address('k'));
  const head = headOf(content.length);
  store.adopt(entry, head, { validatedAt: store.now(), epoch: '' });
  const filling = startFill(store, entry, head);
  await filling.send(content.subarray(0, 3 << 20));
  await until(() => filesIn(join(cacheDir, 'tmp')).length > 0);
  // What somebody does who has not seen it move for a minute.
  const instance = readdirSync(join(cacheDir, 'instances')).find(name => name.endsWith('.json'));
  rmSync(join(cacheDir, 'instances', instance!));
  rmSync(join(cacheDir, 'tmp'), { recursive: true });
  await filling.send(content.subarray(3 << 20));
  await filling.end();
  await until(() => existsSync(join(cacheDir, 'instances', instance!)));

  const other = store.catalog.entry(address('other'));
  store.adopt(other, headOf(content.length, '"two"'), { validatedAt: store.now(), epoch: '' });
  await until(async () => {
    await fillWhole(store, other, headOf(content.length, '"two"'), content);
    return filesIn(join(cacheDir, 'buckets')).some(path => path.endsWith(`.0-${content.length - 1}`));
  });
  expect([...problems.keys()].filter(key => key !== 'write ENOENT' && key !== 'fill')).toEqual([]);
});
