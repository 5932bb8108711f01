import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, type MockInstance, vi } from 'vitest';
import { Volume } from '../../proxy-core/store/disk/volume.ts';
import { address, afterTest, diskUsage, headOf, keepLarge, noise, openStore, tempFolder, until } from './helpers.ts';

const MIB = 1 << 20;
const INSTANCES = /\/instances(\/|$)/;

/** A folder with objects, as a process left it that has stopped. */
async function folderWithObjects(): Promise<string> {
  const folder = tempFolder();
  const { store, close } = await openStore(folder);
  for (let i = 0; i < 12; i++)
    await keepLarge(store, await store.catalog.look(address(`old-${i}`)), headOf(MIB), noise(MIB, i));
  await close();
  return folder;
}

/** Where a path fits, this is what is met until what is returned is called. */
function fail(method: 'writeFile' | 'readFile' | 'readdir', paths: RegExp, code: string): () => void {
  const real: (...args: never[]) => Promise<unknown> = Volume.prototype[method];
  const spy = vi.spyOn(Volume.prototype, method) as MockInstance<(...args: never[]) => Promise<unknown>>;
  spy.mockImplementation(async function (this: Volume, ...args) {
    if (paths.test(`${args[0]}`)) throw Object.assign(new Error(code), { code });
    return real.apply(this, args);
  });
  afterTest(() => spy.mockRestore());
  return () => spy.mockRestore();
}

const used = (folder: string) => diskUsage(join(folder, 'buckets'));

it('a volume that takes no heartbeat at the start does not make what is there count twice', async () => {
  const folder = await folderWithObjects();
  const before = used(folder);
  const heal = fail('writeFile', INSTANCES, 'ENOSPC');
  const { store } = await openStore(folder, { maxDiskBytes: 20 * MIB });
  await until(() => store.capacity.counted);
  expect(store.capacity.bytes).toBe(before);
  heal();
  await until(() => store.capacity.accounts.fits(1));
  expect(store.capacity.bytes).toBe(before);
  expect(used(folder)).toBe(before);
}, 30_000);

it('what is there is not counted as long as it can’t be seen what others have told of it', async () => {
  const folder = await folderWithObjects();
  const before = used(folder);
  const heal = fail('readdir', INSTANCES, 'EIO');
  const { store } = await openStore(folder, { maxDiskBytes: 20 * MIB });
  await store.capacity.settled();
  expect(store.capacity.counted).toBe(false);
  heal();
  await until(() => store.capacity.accounts.fits(1));
  await until(() => store.capacity.counted);
  expect(store.capacity.bytes).toBe(before);
  expect(used(folder)).toBe(before);
}, 30_000);

it('a file of another process that stays unreadable is shown, with what to do', async () => {
  const folder = await folderWithObjects();
  const [ended] = readdirSync(join(folder, 'ended'));
  const path = join(folder, 'ended', ended!);
  const heal = fail('readFile', new RegExp(`${ended}$`), 'EIO');
  const { store, problems } = await openStore(folder);
  await until(() => problems.get('instances'), 20_000);
  expect(problems.get('instances')).toMatch(/ended\/.*can't be read: the cache volume failed \(EIO.*delete the file/);
  expect(store.capacity.accounts.fits(1)).toBe(false);
  heal();
  rmSync(path);
  await until(() => store.capacity.counted && store.capacity.accounts.fits(1));
  expect(problems.has('instances')).toBe(false);
  expect(store.capacity.bytes).toBe(used(folder));
}, 60_000);
