import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { _electron } from 'playwright-core';
import { expect, it } from 'vitest';
import { describeWith, requireTool } from '../tools/index.ts';
import { openDisplay } from './display.ts';
import { makeSetting } from './setting.ts';

const checkout = fileURLToPath(new URL('../../', import.meta.url));

describeWith(['Electron', 'Xvfb', 'curl'], 'the desktop app on a port that is taken', () => {
  it('says so in its window, and serves by itself once the port is free', async () => {
    const display = await openDisplay();
    const setting = await makeSetting(display.name);
    const [host, port] = setting.proxy.split(':');
    const other = createServer().listen(Number(port), host);
    await once(other, 'listening');
    const app = await _electron.launch({
      executablePath: requireTool('Electron'),
      args: [...setting.args, checkout],
      env: setting.env,
    });
    const main = app.process();
    try {
      const page = await app.firstWindow();
      await page.getByText(`${setting.proxy} is in use by another program`).waitFor();
      expect(await page.locator('[data-field="state"]').textContent()).not.toContain('Serving');
      other.close();
      await page.getByText(`Serving on ${setting.proxy}`).waitFor();
      await page.getByText('No problems.').waitFor();
    } finally {
      const ended = once(main, 'exit');
      main.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
      await setting.close();
      await display.close();
      if (other.listening) other.close();
    }
  });
});
