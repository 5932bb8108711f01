import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { objectAddress } from '../../proxy-core/request/index.ts';
import { objectHash } from '../../proxy-core/store/disk/paths.ts';
import { generatedBody } from '../origin/index.ts';
import { type Client, eventually, filesUnder, MIB, type Place, startPlace } from '../read/helpers.ts';
import { describeWith } from '../tools/index.ts';
import { AS_DOCUMENTED, mountSshfs } from './sshfs.ts';

const HOUR = 3_600_000;
const SIZE = 12 * MIB;
const BODY = generatedBody(SIZE, 6).read(0, SIZE);
/** Within which another machine's write has to be seen, from when its writer has heard, ms (docs/shared-cache.md). */
const SEEN_WITHIN = 2000;

interface Machines extends Place {
  readonly served: string;
  readonly one: Client;
  readonly other: Client;
}

/** Two proxies that share a folder of a server, each by a mount of its own, and know of each other by nothing else. */
async function startMachines({ options = AS_DOCUMENTED, ttl = HOUR, ram = true } = {}): Promise<Machines> {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-sshfs-'));
  const served = join(folder, 'served');
  const mounts: AsyncDisposable[] = [];
  onTestFinished(async () => {
    for (const mount of mounts) await mount[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  const mount = async (name: string) => {
    const path = join(folder, name, 'volume');
    mounts.push(await mountSshfs(served, path, options));
    return join(path, 'cache');
  };
  const cache = { get_ttl: ttl, head_ttl: ttl, authorization: 'shared' as const, ram_cache_enabled: ram };
  const place = await onMachineOfItsOwn(folder, async () =>
    startPlace({ cache: { ...cache, cache_dir: await mount('one') } }),
  );
  const { client: other } = await onMachineOfItsOwn(folder, async () =>
    place.another({ cache: { ...cache, cache_dir: await mount('other') } }),
  );
  return { ...place, served, one: place.client, other };
}

/** Processes on one machine tell each other of writes by a socket in the folder for temporary files: here its name is too long for that. */
async function onMachineOfItsOwn<T>(folder: string, start: () => Promise<T>): Promise<T> {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = join(folder, 'a'.repeat(120));
  await mkdir(process.env.TMPDIR, { recursive: true });
  try {
    return await start();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}

/** Reads an object through the client until it is on the server: what is stored behind an answer takes a moment. */
async function cached(place: Machines, client: Client, key: string): Promise<void> {
  const hash = objectHash(objectAddress(place.origin.address, 'data', key));
  await eventually(async () => {
    const { bodies } = await place.count(() => client.send({ key }), key);
    const files = await filesUnder(join(place.served, 'cache', 'buckets'));
    return bodies === 0 && files.some(path => path.endsWith(`${hash}.head`));
  }, 10_000);
}

describeWith('sshfs', 'two machines on one folder by sshfs', () => {
  it('serve what either has cached', async () => {
    const place = await startMachines({ ram: false });
    const { origin, one, other } = place;
    for (const [key, first, then] of [
      ['large', one, other],
      ['small', other, one],
    ] as const) {
      const body = key === 'large' ? BODY : Buffer.from('a few bytes');
      origin.put('data', key, body);
      await first.send({ key });
      await cached(place, first, key);
      const count = await place.count(async () => {
        expect((await then.send({ key })).body.equals(body), key).toBe(true);
      }, key);
      expect(count.bodies, key).toBe(0);
    }
  }, 60_000);

  it('see each other’s writes at once at ttl 0', async () => {
    const { origin, one, other } = await startMachines({ ttl: 0 });
    for (let i = 0; i < 6; i++) {
      const key = `k${i}`;
      const [writer, reader] = i % 2 === 0 ? [one, other] : [other, one];
      origin.put('data', key, BODY);
      await reader.send({ key });
      const body = Buffer.from(`written through the other: ${i}`);
      expect((await writer.send({ key, method: 'PUT', body })).status).toBe(200);
      expect((await reader.send({ key })).body.equals(body), key).toBe(true);
      expect((await writer.send({ key, method: 'DELETE' })).status).toBe(204);
      expect((await reader.send({ key })).status, key).toBe(404);
    }
  }, 60_000);

  it.each([
    ['mounted as documented', AS_DOCUMENTED],
    // Writes are noticed by files that are opened, which sshfs always asks the server for; only its listings are old.
    ['with the options that sshfs has by itself', []],
  ])(
    'see each other’s writes within 2 s whatever the ttl, %s',
    async (_, options) => {
      const { origin, one, other } = await startMachines({ options });
      for (let i = 0; i < 6; i++) {
        const key = `k${i}`;
        const [writer, reader] = i % 2 === 0 ? [one, other] : [other, one];
        origin.put('data', key, BODY);
        // One that has written it before, and one that has not.
        if (i > 2) expect((await writer.send({ key, method: 'PUT', body: BODY })).status).toBe(200);
        for (let reads = 0; reads < 5; reads++) await reader.send({ key });
        const body = Buffer.from(`written through the other: ${i} ${'.'.repeat(i * 100)}`);
        expect((await writer.send({ key, method: 'PUT', body })).status).toBe(200);
        const heard = performance.now();
        for (;;) {
          const asked = performance.now();
          const answer = await reader.send({ key });
          if (answer.body.equals(body)) break;
          expect(answer.body.equals(BODY), `${key}: all of one version`).toBe(true);
          expect(asked - heard, `${key}: not seen for so long, ms`).toBeLessThan(SEEN_WITHIN);
        }
        expect((await writer.send({ key, method: 'DELETE' })).status).toBe(204);
        const deleted = performance.now();
        for (;;) {
          const asked = performance.now();
          if ((await reader.send({ key })).status === 404) break;
          expect(asked - deleted, `${key}: deletion not seen for so long, ms`).toBeLessThan(SEEN_WITHIN);
        }
      }
    },
    90_000,
  );

  it('see writes to what one has served for long while it was alone', async () => {
    const place = await startMachines({ options: [] });
    const { origin, one } = place;
    origin.put('data', 'k', BODY);
    await one.send({ key: 'k' });
    // The listing of the folder in which processes show themselves is remembered from now on.
    for (let i = 0; i < 30; i++) {
      await one.send({ key: 'k' });
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    const late = await place.another({ cache: { cache_dir: join(place.served, 'cache'), get_ttl: HOUR } });
    const body = Buffer.from('written by one that has just come');
    expect((await late.client.send({ key: 'k', method: 'PUT', body })).status).toBe(200);
    const heard = performance.now();
    for (;;) {
      const asked = performance.now();
      if ((await one.send({ key: 'k' })).body.equals(body)) break;
      expect(asked - heard).toBeLessThan(SEEN_WITHIN);
    }
  }, 60_000);

  it('are not asked about again for the sake of SFTP’s whole seconds', async () => {
    const place = await startMachines({ ram: false });
    const { origin, one, other } = place;
    for (let i = 0; i < 5; i++) {
      const key = `k${i}`;
      origin.put('data', key, Buffer.from(`content ${i}`));
      await one.send({ key });
      await cached(place, one, key);
      const { requests } = await place.count(async () => {
        for (let reads = 0; reads < 3; reads++) {
          for (const client of [one, other]) expect((await client.send({ key })).header('x-cache')).toBe('HIT');
          await new Promise(resolve => setTimeout(resolve, 100));
        }
      }, key);
      expect(requests).toBe(0);
    }
  }, 60_000);
});
