import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Neighbours } from '../../proxy-core/store/disk/neighbours.ts';
import { generatedBody } from '../origin/index.ts';
import { eventually, startPlace } from '../read/helpers.ts';
import { metEachOther } from './neighbours.ts';

const HOUR = 3_600_000;
const NEW = Buffer.from('what the other process wrote');

describe('a write through one process', () => {
  it('is seen by another on this machine as soon as its client has heard of it, whatever the ttl', async () => {
    const place = await startPlace({ cache: { get_ttl: HOUR, head_ttl: HOUR } });
    const { client: one } = await place.another();
    const other = place.client;
    await metEachOther(one, other);
    for (let i = 0; i < 20; i++) {
      const key = `k${i}`;
      place.origin.put('data', key, generatedBody(1000, i));
      await other.send({ key });
      expect((await other.send({ key })).header('x-cache')).toBe('HIT');
      if (i % 2 === 0) {
        expect((await one.send({ key, method: 'PUT', body: NEW })).status).toBe(200);
        expect((await other.send({ key })).body.equals(NEW), key).toBe(true);
      } else {
        expect((await one.send({ key, method: 'DELETE' })).status).toBe(204);
        expect((await other.send({ key })).status, key).toBe(404);
      }
    }
  });
});

describe('a neighbour', () => {
  it('has heard when the teller goes on, of many keys in order', async () => {
    const heard: string[] = [];
    const [teller, listener] = [await neighbour(), await neighbour(keys => heard.push(...keys))];
    teller.meet([listener.address!]);
    const keys = Array.from({ length: 1000 }, (_, i) => `aws\0bucket\0${'\xff'.repeat(1000)}${i}`);
    await teller.tell(keys);
    expect(heard).toEqual(keys);
    await Promise.all([teller.tell(['a']), teller.tell(['b'])]);
    expect(heard.slice(-2)).toEqual(['a', 'b']);
  });

  it('that is gone, or does not answer, holds nobody up for long', async () => {
    const teller = await neighbour();
    const folder = await mkdtemp(join(tmpdir(), 'cistern-silent-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const address = process.platform === 'win32' ? '\\\\.\\pipe\\cistern-silent' : join(folder, 's');
    const silent = createServer(socket => onTestFinished(() => void socket.destroy()));
    await new Promise<void>(resolve => silent.listen(address, resolve));
    onTestFinished(() => void silent.close());
    for (const reachable of ['it answers nothing', undefined]) {
      if (!reachable) silent.close();
      teller.meet([]);
      teller.meet([address]);
      const since = performance.now();
      await teller.tell(['k']);
      expect(performance.now() - since).toBeLessThan(1000);
    }
  });

  it('hears of others as they come', async () => {
    let met = 0;
    const [teller, listener] = [await neighbour(), await neighbour(undefined, () => met++)];
    teller.meet([listener.address!]);
    await teller.tell(['k']);
    expect(met).toBe(1);
  });

  it('is lost when its connection ends without a word, and not when it stops, or is left', async () => {
    let lost = 0;
    const teller = await neighbour(undefined, undefined, () => lost++);
    const address = async (listener: Neighbours) => {
      teller.meet([listener.address!]);
      await teller.tell(['k']);
    };
    const stops = await neighbour();
    await address(stops);
    await stops.stop();
    await address(await neighbour());
    teller.meet([]);
    expect(lost).toBe(0);
    const folder = await mkdtemp(join(tmpdir(), 'cistern-killed-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const path = process.platform === 'win32' ? '\\\\.\\pipe\\cistern-killed' : join(folder, 's');
    const killed = createServer(socket => socket.once('data', () => socket.destroy()));
    await new Promise<void>(resolve => killed.listen(path, resolve));
    onTestFinished(() => void killed.close());
    teller.meet([path]);
    await teller.tell(['k']);
    await eventually(() => lost === 1);
  });

  it('that is met stays so while it lives, though a look at the instances may have missed it', async () => {
    const heard: string[] = [];
    const [teller, listener] = [await neighbour(), await neighbour(keys => heard.push(...keys))];
    teller.meet([listener.address!]);
    teller.meet([]);
    await teller.tell(['k']);
    expect(heard).toEqual(['k']);
  });

  it('that starts waits until those it met have met it, or are gone', async () => {
    const heard: string[] = [];
    let known = false;
    const second = await neighbour(keys => heard.push(...keys));
    const first: Neighbours = await neighbour(undefined, () => {
      expect(known).toBe(false);
      setTimeout(() => first.meet([second.address!]), 20);
    });
    second.meet([first.address!, join(tmpdir(), 'cistern-nobody.sock')]);
    await second.known();
    known = true;
    await first.tell(['k']);
    expect(heard).toEqual(['k']);
  });

  it('is not led astray by what is no message', async () => {
    const heard: string[] = [];
    const listener = await neighbour(keys => heard.push(...keys));
    for (const text of ['{}\n', '[1]\n', 'no json\n']) {
      const socket = connect({ path: listener.address! });
      socket.write(text);
      await new Promise(resolve => socket.once('close', resolve).resume());
    }
    expect(heard).toEqual([]);
  });

  it.skipIf(process.platform === 'win32')('listens nowhere where the path would be too long for a socket', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cistern-neighbours-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const long = join(folder, 'a'.repeat(120));
    await mkdir(long);
    const one = await withTmpdir(long, () => neighbour());
    expect(one.address).toBeUndefined();
    expect(await readdir(folder)).toEqual(['a'.repeat(120)]);
    expect(await readdir(long)).toEqual([]);
  });

  it('leaves no file behind', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cistern-neighbours-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const one = await withTmpdir(folder, () => neighbour());
    if (process.platform !== 'win32') expect((await readdir(folder)).length).toBe(1);
    await one.stop();
    expect(await readdir(folder)).toEqual([]);
  });
});

async function withTmpdir<T>(folder: string, start: () => Promise<T>): Promise<T> {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = folder;
  try {
    return await start();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}

async function neighbour(
  onMoved: (keys: readonly string[]) => unknown = () => {},
  onMet = () => {},
  onLost = () => {},
) {
  const made = new Neighbours({ onMoved, onMet, onLost });
  await made.start('test');
  onTestFinished(() => made.stop());
  return made;
}
