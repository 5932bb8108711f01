import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { objectAddress } from '../../proxy-core/request/index.ts';
import { objectHash } from '../../proxy-core/store/disk/paths.ts';
import { type RunningCistern, startCistern } from '../clients/cistern.ts';
import { generatedBody, startOrigin } from '../origin/index.ts';
import { Client, eventually, filesUnder, MIB } from '../read/helpers.ts';
import { describeWith, requireTool } from '../tools/index.ts';

/** One group, two accounts in it: numbers are all that the kernel knows of them. */
const TEAM = 65_000;
const ANNA = { uid: 65_001, umask: '077' };
const BERT = { uid: 65_002, umask: '022' };
const SIZE = 12 * MIB;
const BODY = generatedBody(SIZE, 5).read(0, SIZE);

async function startShared() {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-team-'));
  await chmod(folder, 0o755);
  const cacheDir = join(folder, 'cache');
  // As docs/shared-cache.md has it.
  await mkdir(cacheDir);
  await chown(cacheDir, 0, TEAM);
  await chmod(cacheDir, 0o2770);
  const origin = await startOrigin();
  const ends: (() => unknown)[] = [];
  onTestFinished(async () => {
    for (const end of ends) await end();
    await origin.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const start = async ({ uid, umask }: typeof ANNA) => {
    const own = join(folder, String(uid));
    await mkdir(own, { recursive: true });
    await chown(own, uid, uid);
    const settings = {
      cache: {
        cache_dir: cacheDir,
        file_mode: 'shared',
        min_free_space: '0%',
        max_cache_size: 48 * MIB,
        // So that what arrives takes the place of what is there.
        eviction_algorithm: 'lru',
        ram_cache_enabled: false,
        get_ttl: '2s',
        authorization: 'shared',
      },
      connection_pool: { upstream_overrides: { [origin.address]: { scheme: 'http' } } },
      metrics: { enabled: true, port: 0 },
    };
    const through = [
      ...[requireTool('accounts'), `--reuid=${uid}`, `--regid=${uid}`, `--groups=${TEAM}`],
      ...['sh', '-c', `umask ${umask}; exec "$0" "$@"`],
    ];
    const cistern = await startCistern(own, settings, { through });
    const client = new Client(origin, Number(new URL(cistern.url).port));
    ends.push(
      () => client.close(),
      () => cistern.stop(),
    );
    return { cistern, client };
  };
  return { folder, cacheDir, origin, start };
}

/** What is in a folder, owner included. */
async function owned(folder: string): Promise<{ path: string; uid: number; gid: number; mode: number }[]> {
  const entries = await readdir(folder, { recursive: true });
  const all = await Promise.all(
    entries.map(async name => {
      const path = join(folder, name);
      const found = await stat(path).catch(() => undefined);
      return found
        ? [{ path, uid: found.uid, gid: found.gid, mode: found.mode & 0o7777, isFolder: found.isDirectory() }]
        : [];
    }),
  );
  return all.flat();
}

async function logged(folder: string): Promise<string> {
  const files = (await filesUnder(folder)).filter(path => path.includes('/logs/app/'));
  return (await Promise.all(files.map(path => readFile(path, 'utf8')))).join('');
}

describeWith('accounts', 'two accounts that share a cache folder (file_mode: shared)', () => {
  it('read, vouch for, overwrite, delete and evict each other’s files, whatever their umask', async () => {
    const { folder, cacheDir, origin, start } = await startShared();
    for (const key of ['small', 'large']) origin.put('data', key, key === 'small' ? Buffer.from('a few bytes') : BODY);
    const anna: { cistern: RunningCistern; client: Client } = await start(ANNA);
    const bert = await start(BERT);
    const bodies = async (act: () => Promise<unknown>, key: string) => {
      const before = origin.bodiesServed(key);
      await act();
      return origin.bodiesServed(key) - before;
    };
    for (const key of ['small', 'large']) {
      const expected = key === 'small' ? Buffer.from('a few bytes') : BODY;
      await anna.client.send({ key });
      await eventually(async () => (await bodies(() => anna.client.send({ key }), key)) === 0);
      // What is stored behind an answer takes a moment.
      const head = `${objectHash(objectAddress(origin.address, 'data', key))}.head`;
      await eventually(async () => (await filesUnder(cacheDir)).some(path => path.endsWith(head)));
      const count = await bodies(async () => {
        expect((await bert.client.send({ key })).body.equals(expected), key).toBe(true);
      }, key);
      expect(count, `${key}: bodies from S3 for the other account`).toBe(0);
    }
    // After the ttl one asks S3, and writes into the other's file that S3 has vouched for it.
    const requests = () => origin.requestsFor('large').length;
    await eventually(
      async () => (await bert.client.send({ key: 'large' })).header('x-cache') === 'REVALIDATED',
      10_000,
    );
    await eventually(async () => {
      const before = requests();
      await anna.client.send({ key: 'large' });
      return requests() === before;
    }, 2_500);

    const body = Buffer.from('written by the other account');
    expect((await bert.client.send({ key: 'small', method: 'PUT', body })).status).toBe(200);
    await eventually(async () => (await anna.client.send({ key: 'small' })).body.equals(body), 2_500);
    expect((await anna.client.send({ key: 'small', method: 'DELETE' })).status).toBe(204);
    await eventually(async () => (await bert.client.send({ key: 'small' })).status === 404, 2_500);

    for (const { path, gid, mode } of await owned(cacheDir)) {
      expect(gid, path).toBe(TEAM);
      const isFolder = (mode & 0o111) !== 0;
      expect(mode.toString(8), path).toBe(isFolder ? '2770' : '660');
    }

    // Anna goes, and Bert needs the room that her files take.
    const hers = async () =>
      (await owned(join(cacheDir, 'buckets'))).filter(({ path, uid }) => uid === ANNA.uid && /\d+-\d+$/.test(path));
    expect((await hers()).length).toBeGreaterThan(0);
    anna.client.close();
    expect(await anna.cistern.stop()).toBe(0);
    for (let i = 0; i < 8; i++) {
      origin.put('data', `new-${i}`, generatedBody(SIZE, 10 + i));
      await bert.client.send({ key: `new-${i}` });
    }
    await eventually(async () => (await hers()).length === 0, 15_000);
    expect(await logged(folder)).not.toMatch(/EACCES|EPERM|may not be used|can't be written|could not/);
  }, 90_000);

  it('leave nobody else in', async () => {
    const { cacheDir, origin, start } = await startShared();
    origin.put('data', 'k', BODY);
    const { client } = await start(ANNA);
    await client.send({ key: 'k' });
    await eventually(async () => (await filesUnder(join(cacheDir, 'buckets'))).some(path => /\d+-\d+$/.test(path)));
    for (const { path, mode } of await owned(cacheDir)) expect(mode & 0o007, path).toBe(0);
  }, 60_000);
});
