import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { _electron, type ElectronApplication, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type {} from '../../renderer/transport.ts';
import { describeWith, requireTool } from '../tools/index.ts';
import { type Display, openDisplay } from './display.ts';
import { makeSetting, type Setting } from './setting.ts';

const checkout = fileURLToPath(new URL('../../', import.meta.url));

// One app, used as a person would: each test goes on where the one before it ended.
describeWith(['Electron', 'Xvfb', 'curl'], 'the desktop app', () => {
  let display: Display;
  let setting: Setting;
  let app: ElectronApplication;
  let page: Page;
  let main: ChildProcess;

  beforeAll(async () => {
    display = await openDisplay();
    setting = await makeSetting(display.name);
    setting.origin.put('data', 'report.csv', 'a,b\n1,2\n');
    app = await _electron.launch({
      executablePath: requireTool('Electron'),
      args: [...setting.args, checkout],
      env: setting.env,
    });
    main = app.process();
    page = await app.firstWindow();
  });

  afterAll(async () => {
    if (main?.exitCode === null) main.kill('SIGKILL');
    await setting?.close();
    await display?.close();
  });

  it('opens a window that says where it serves and, before the first request, what to paste', async () => {
    await serving();
    expect(await shown('state')).toBe(`Serving on ${setting.proxy}`);
    await page.getByText('No requests yet.').waitFor();
    const lines = await page.locator('[data-field="shell-lines"]', { hasText: 'HTTP_PROXY' }).textContent();
    expect(lines).toContain(`export HTTP_PROXY='http://${setting.proxy}'`);
    expect(lines).toContain("export AWS_ENDPOINT_URL_S3='http://s3.eu-central-1.amazonaws.com'");
  });

  it('shows the hit that curl caused', async () => {
    expect(await setting.curl('report.csv')).toMatchObject({ status: 200, body: 'a,b\n1,2\n', xCache: 'MISS' });
    expect(await setting.curl('report.csv')).toMatchObject({ status: 200, body: 'a,b\n1,2\n', xCache: 'HIT' });
    expect(setting.origin.requests).toHaveLength(1);
    await page.locator('[data-field="hits"]', { hasText: /^1$/ }).waitFor();
    expect(await shown('misses')).toBe('1');
    expect(await shown('bytes-from-cache')).toBe('8\u00a0B');
    expect(await shown('share')).toBe('50\u00a0%');
    expect(await page.getByText('No requests yet.').isVisible()).toBe(false);
  });

  it('has the core back within two seconds when it is killed, and serves what it had', async () => {
    const killed = await corePid();
    // Counted in the page, so that the driver's own delays don't count
    const backAfter = page.evaluate(
      pid =>
        new Promise<number>(resolve => {
          const began = performance.now();
          window.cistern!.onStatus(({ core, snapshot }) => {
            if (core.phase === 'serving' && snapshot?.pid !== pid) resolve(performance.now() - began);
          });
        }),
      killed,
    );
    process.kill(killed, 'SIGKILL');
    expect(await backAfter).toBeLessThan(2000);
    await serving();
    expect(await setting.curl('report.csv')).toMatchObject({ status: 200, body: 'a,b\n1,2\n' });
    // After a restart nobody has an allowance: S3 is asked, and sends no body.
    expect(setting.origin.bodiesServed('report.csv', 'data')).toBe(1);
  });

  it('takes over a limit that is changed in the settings file, at once', async () => {
    const text = await readFile(setting.settings, 'utf8');
    await writeFile(setting.settings, text.replace('"cache":{', `"cache":{"max_cache_size":"96MiB",`));
    await page.locator('[data-field="disk"]', { hasText: / of 96.MiB$/ }).waitFor();
    expect((await setting.curl('report.csv')).status).toBe(200);
  });

  it('keeps serving when the window is closed, and a second start opens it again', async () => {
    await page.close();
    expect((await setting.curl('report.csv')).status).toBe(200);
    const opened = app.waitForEvent('window');
    const second = spawn(requireTool('Electron'), [...setting.args, checkout], { env: setting.env, stdio: 'ignore' });
    const [[code], window] = await Promise.all([once(second, 'exit'), opened]);
    expect(code).toBe(0);
    page = window;
    await serving();
  });

  it('gives its page no Node, no other page and no other window', async () => {
    expect(await page.evaluate('typeof require + typeof process + typeof module')).toBe('undefined'.repeat(3));
    expect(await page.evaluate('Object.keys(window.cistern).join()')).toBe('status,onStatus');
    const url = page.url();
    // From here on the driver waits for a navigation that never comes: only evaluate() is used.
    expect(await page.evaluate("String(window.open('http://127.0.0.1:9/'))")).toBe('null');
    await page.evaluate("location.href = 'http://127.0.0.1:9/'");
    expect(await page.evaluate('location.href')).toBe(url);
    expect(app.windows()).toHaveLength(1);
    const refused = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'fetched')");
    await expect(refused).rejects.toThrow();
  });

  it('quits: the app and its core end, the port is free', async () => {
    const core = await corePid();
    const ended = once(main, 'exit');
    // The connection to the app ends with it.
    await app.evaluate(({ app }) => app.quit()).catch(() => undefined);
    expect(await ended).toEqual([0, null]);
    // Ended, but for its new parent's taking note of it
    await expect.poll(() => runs(core), { timeout: 10_000 }).toBe(false);
    await expect(setting.curl('report.csv')).rejects.toThrow();
  });

  const serving = () => page.locator('body[data-phase="serving"]').waitFor();
  const shown = (field: string) => page.locator(`[data-field="${field}"]`).textContent();

  async function corePid(): Promise<number> {
    const metrics = await app.evaluate(({ app }) => app.getAppMetrics());
    const core = metrics.find(({ name }) => name === 'Cistern core');
    if (core === undefined) throw new Error('there is no process of the core');
    return core.pid;
  }
});

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
