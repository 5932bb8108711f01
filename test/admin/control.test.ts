import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask, askMany, controlFolders, findProxies, startControlServer } from '../../proxy-core/admin/index.ts';
import { until } from '../store/helpers.ts';
import { startControlled } from './controlled.ts';

async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-control-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

describe('where a proxy is found', () => {
  const of = (platform: NodeJS.Platform, env = {}) => controlFolders({ home: '/home/eve', platform, env }, 1000);

  test('is the folder of the session, else of the person, else one of their own below /tmp', () => {
    expect(of('linux', { XDG_RUNTIME_DIR: '/run/user/1000' })).toEqual([
      '/run/user/1000/cistern',
      '/home/eve/.local/state/cistern/run',
      '/tmp/cistern-1000',
    ]);
    expect(of('linux', { XDG_RUNTIME_DIR: 'relative', XDG_STATE_HOME: '/state' })[0]).toBe('/state/cistern/run');
    expect(of('darwin')[0]).toBe('/home/eve/Library/Application Support/Cistern/Run');
    expect(controlFolders({ home: 'C:\\Users\\eve', platform: 'win32', env: {} })).toEqual([
      'C:\\Users\\eve\\AppData\\Local\\Cistern\\Run',
    ]);
  });

  test('is never a folder whose path is too long for a socket', () => {
    expect(of('linux', { XDG_STATE_HOME: `/${'x'.repeat(90)}` })).toEqual(['/tmp/cistern-1000']);
  });
});

describe('the control socket', () => {
  test("is this account's alone, tells who serves, and is gone when the proxy has stopped", async () => {
    const { core, run, cacheDir, one, stop } = await startControlled();
    const [name] = await readdir(run);
    expect(name).toMatch(new RegExp(`^${process.pid}-[0-9a-f]{8}\\.sock$`));
    expect([await mode(run), await mode(join(run, name!))]).toEqual(['700', '600']);
    expect(await one('GET', '/v1/hello')).toMatchObject({
      pid: process.pid,
      proxy: core.addresses.proxy,
      cache_dir: cacheDir,
    });
    await stop();
    expect(await readdir(run)).toEqual([]);
  });

  test('answers what it does not know, or can not read, with an error that says so', async () => {
    const { one } = await startControlled();
    await expect(one('GET', '/v1/nothing')).rejects.toThrow('There is no GET /v1/nothing here.');
    await expect(one('GET', '/v1/objects?bucket=../etc')).rejects.toThrow('"../etc" is no bucket\'s name.');
  });

  test('takes the modes back that others had on its folder', async () => {
    const folder = await tempFolder();
    await chmod(folder, 0o777);
    const server = await startControlServer([folder], {});
    onTestFinished(() => server.close());
    expect(await mode(folder)).toBe('700');
  });

  test('is not made in what is no folder of this account, but in the next one', async () => {
    const folder = await tempFolder();
    await mkdir(join(folder, 'real'));
    await symlink(join(folder, 'real'), join(folder, 'link'));
    await writeFile(join(folder, 'file'), '');
    const server = await startControlServer([join(folder, 'link'), join(folder, 'file'), join(folder, 'own')], {});
    onTestFinished(() => server.close());
    expect(await readdir(join(folder, 'own'))).toHaveLength(1);
    expect(await readdir(join(folder, 'real'))).toEqual([]);
    await expect(startControlServer([join(folder, 'link')], {})).rejects.toThrow('is not a folder of this account');
  });

  test('is made anew when the folder of its session is emptied', async () => {
    const folder = await tempFolder();
    const server = await startControlServer([join(folder, 'run')], { 'GET /v1/hello': () => ({ pid: 1 }) }, 20);
    onTestFinished(() => server.close());
    await rm(join(folder, 'run'), { recursive: true });
    await until(async () => (await findProxies([join(folder, 'run')])).proxies.length === 1);
  });

  test('of a process that was killed is passed over, and removed by the next one', async () => {
    const folder = await tempFolder();
    const path = join(folder, '99-aabbccdd.sock');
    const killed = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    await once(killed, 'exit');
    expect(await findProxies([folder])).toEqual({ proxies: [], problems: [] });
    const young = await startControlServer([folder], {});
    expect(await readdir(folder)).toHaveLength(2);
    await young.close();
    await utimes(path, 1, 1);
    const server = await startControlServer([folder], {});
    onTestFinished(() => server.close());
    expect(await readdir(folder)).not.toContain('99-aabbccdd.sock');
  });

  test('that belongs to another program is no proxy', async () => {
    const folder = await tempFolder();
    const other = createServer(socket => socket.end('hello\r\n')).listen(join(folder, 'x.sock'));
    onTestFinished(() => void other.close());
    await once(other, 'listening');
    expect((await findProxies([folder])).proxies).toEqual([]);
  });
});

describe('an answer of many lines', () => {
  /** A server with one route, and what it says. */
  async function serve(route: (signal: AbortSignal) => AsyncIterable<object>) {
    const folder = await tempFolder();
    const server = await startControlServer([folder], { 'GET /many': (_, signal) => route(signal) });
    onTestFinished(() => server.close());
    return { server, many: (signal?: AbortSignal) => askMany<{ type: string }>(server.file, 'GET', '/many', signal) };
  }

  test('ends what makes it when nobody reads it any more', async () => {
    let over = () => {};
    const ended = new Promise<void>(resolve => {
      over = resolve;
    });
    const { many } = await serve(async function* (signal) {
      try {
        for (;;) {
          signal.throwIfAborted();
          yield { type: 'line' };
          await new Promise(setImmediate);
        }
      } finally {
        over();
      }
    });
    for await (const { type } of many()) {
      expect(type).toBe('line');
      break;
    }
    await ended;
  });

  test('is made no faster than it is read', async () => {
    let made = 0;
    const { many } = await serve(async function* () {
      for (; made < 50_000; made++) yield { type: 'line', text: 'x'.repeat(200) };
      yield { type: 'end' };
    });
    const lines = many();
    await lines.next();
    // Longer than all of it would take: what is made meanwhile is what sockets hold.
    for (let last = -1; last !== made; ) {
      last = made;
      await new Promise(resolve => setTimeout(resolve, 200));
    }
    expect(made).toBeLessThan(20_000);
    let read = 1;
    for await (const _ of lines) read++;
    expect(read).toBe(50_001);
  });

  test('that fails on the way says why in its last line', async () => {
    const { many } = await serve(async function* () {
      yield { type: 'line' };
      throw new Error('the disk is on fire');
    });
    const lines = many();
    expect((await lines.next()).value).toEqual({ type: 'line' });
    await expect(lines.next()).rejects.toThrow('the disk is on fire');
  });

  test('that is cut off is not taken for a whole one', async () => {
    const { server, many } = await serve(async function* () {
      yield { type: 'line' };
      await new Promise(() => {});
    });
    const lines = many();
    await lines.next();
    const rest = lines.next();
    rest.catch(() => {});
    await server.close();
    await expect(rest).rejects.toThrow();
    const silent = await serve(async function* () {
      yield { type: 'line' };
    });
    const cut = silent.many();
    await cut.next();
    await expect(cut.next()).rejects.toThrow('before its answer was complete');
  });

  test('is a single object, too, where there is one', async () => {
    const folder = await tempFolder();
    const server = await startControlServer([folder], { 'GET /one': async query => ({ is: query.get('is') }) });
    onTestFinished(() => server.close());
    expect(await ask(server.file, 'GET', '/one?is=two')).toEqual({ is: 'two' });
  });
});
