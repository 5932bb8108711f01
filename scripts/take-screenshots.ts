// Takes the pictures of docs/images: the real app and the real dashboard, with a minute of reads through the proxy.
//   npx tsx scripts/take-screenshots.ts
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { _electron, chromium, type Page } from 'playwright-core';
import type {} from '../renderer/transport.ts';
import { openDisplay } from '../test/desktop/display.ts';
import { makeSetting, type Setting } from '../test/desktop/setting.ts';
import { ALICE, generatedBody, presign } from '../test/origin/index.ts';
import { fetchElectron } from './fetch-electron.mjs';

const checkout = fileURLToPath(new URL('../', import.meta.url));
const images = `${checkout}docs/images`;
const OBJECTS = 24;
const SIZE = 3 * 2 ** 20;
const ROUNDS = 4;
/** Shown in the pictures, so a name that is not of one machine; needs an account that may make it. */
const CACHE = '/var/cache/cistern';

async function main(): Promise<void> {
  await mkdir(images, { recursive: true });
  const display = await openDisplay();
  const setting = await makeSetting(display.name, CACHE);
  for (let i = 0; i < OBJECTS; i++) setting.origin.put('data', `scan-${i}.tif`, generatedBody(SIZE, i));
  const app = await _electron.launch({
    executablePath: await fetchElectron(),
    args: [...setting.args, checkout],
    env: setting.env,
  });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
  try {
    const window = await app.firstWindow();
    await window.locator('body[data-phase="serving"]').waitFor();
    await readForAWhile(setting);
    await window.screenshot({ path: `${images}/window.png` });
    await takeDashboard(
      await browser.newPage({ colorScheme: 'dark', viewport: { width: 920, height: 760 } }),
      await dashboardOf(window),
    );
  } finally {
    await browser.close();
    const ended = once(app.process(), 'exit');
    await app.evaluate(({ app }) => app.quit()).catch(() => undefined);
    await ended;
    await setting.close();
    await rm(CACHE, { recursive: true, force: true });
    await display.close();
  }
}

/** Each object cold in the first round, from the cache in the others; a few at a time, with pauses as people make. */
async function readForAWhile(setting: Setting): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < OBJECTS; i++) {
      const repeats = round === 0 ? 1 : 2 + ((i + round) % 4);
      for (let again = 0; again < repeats; again++) await read(setting, `scan-${i}.tif`);
      await wait(900 - 60 * (i % 8));
    }
  }
}

async function read({ proxy, origin }: Setting, key: string): Promise<void> {
  const [host, port] = proxy.split(':');
  const target = presign(ALICE, { method: 'GET', host: origin.address, target: `/data/${key}`, expires: 600 });
  const path = `http://${origin.address}${target}`;
  const request = get({ host, port, path, headers: { Host: origin.address } });
  const [response] = await once(request, 'response');
  if (response.statusCode !== 200) throw new Error(`${key} was answered with ${response.statusCode}`);
  for await (const _chunk of response);
}

async function dashboardOf(page: Page): Promise<string> {
  const status = await page.evaluate(() => window.cistern!.status());
  return status.snapshot!.addresses.dashboard!;
}

async function takeDashboard(page: Page, address: string): Promise<void> {
  await page.goto(`http://${address}/`);
  await page.locator('body[data-phase="serving"]').waitFor();
  await page.locator('#empty').waitFor({ state: 'hidden' });
  await page.screenshot({ path: `${images}/dashboard.png` });
}

await main();
