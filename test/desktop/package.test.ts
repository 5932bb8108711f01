import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWith, requireTool } from '../tools/index.ts';
import { type Display, openDisplay } from './display.ts';
import { makeSetting, type Setting } from './setting.ts';

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const checkout = fileURLToPath(new URL('../../', import.meta.url));

describeWith(['Electron', 'Xvfb', 'curl', 'zip'], 'the packaged app', () => {
  let folder: string;
  let program: string;
  let display: Display;
  let setting: Setting;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cistern-package-'));
    program = await packageApp(folder);
    display = await openDisplay();
    setting = await makeSetting(display.name);
  }, 240_000);

  afterAll(async () => {
    await setting?.close();
    await display?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('serves a cached read with its native modules, and ends on SIGTERM', async () => {
    const content = 'a line that LZ4 can make shorter\n'.repeat(20_000);
    setting.origin.put('data', 'big.txt', content);
    await whileRunning([], async () => {
      expect(await setting.curl('big.txt')).toEqual({ status: 200, body: content, xCache: 'MISS' });
      expect(await setting.curl('big.txt')).toEqual({ status: 200, body: content, xCache: 'HIT' });
      expect(setting.origin.requests).toHaveLength(1);
    });
  });

  it('is Cistern whatever the environment says, and not a Node for anyone', async () => {
    const asNode = { ELECTRON_RUN_AS_NODE: '1', NODE_OPTIONS: '--invalid-option' };
    await whileRunning(['-e', 'process.exit(7)'], async () => undefined, asNode);
  });

  /** Starts the app, waits until it serves, does something, and ends it with SIGTERM. */
  async function whileRunning(args: string[], body: () => Promise<void>, more: Record<string, string> = {}) {
    const env = { ...setting.env, ...more };
    const app = spawn(program, [...setting.args, ...args], { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = once(app, 'exit');
    try {
      await says(app, `listens on http://${setting.proxy}`);
      await body();
    } finally {
      app.kill('SIGTERM');
    }
    expect(await ended).toEqual([0, null]);
  }
});

/** Packages the checkout as `npm run package` does, from the Electron at hand; answers the program. */
async function packageApp(folder: string): Promise<string> {
  // The packager looks for its Electron under the version of the installed npm package; here it gets what could be fetched.
  const { version } = require('electron/package.json') as { version: string };
  const zip = join(folder, `electron-v${version}-${process.platform}-${process.arch}.zip`);
  await run('zip', ['-q', '-r', '-0', zip, '.'], { cwd: dirname(requireTool('Electron')) });
  const env = { ...process.env, CISTERN_ELECTRON_ZIP_DIR: folder, CISTERN_OUT_DIR: join(folder, 'out') };
  await run(join(checkout, 'node_modules', '.bin', 'electron-forge'), ['package'], { cwd: checkout, env });
  return join(folder, 'out', `Cistern-${process.platform}-${process.arch}`, 'cistern-desktop');
}

function says(app: ChildProcess, wanted: string): Promise<void> {
  let text = '';
  return new Promise((resolve, reject) => {
    for (const stream of [app.stdout!, app.stderr!]) {
      stream.setEncoding('utf8').on('data', chunk => {
        text += chunk;
        if (text.includes(wanted)) resolve();
      });
    }
    app.once('close', code => reject(new Error(`ended (${code}) without "${wanted}":\n${text}`)));
  });
}
