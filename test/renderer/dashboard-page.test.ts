import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Dashboard, startDashboard } from '../../proxy-core/admin/index.ts';
import { Counters } from '../../proxy-core/observe/index.ts';
import { snapshotOf } from '../admin/fixtures.ts';
import { describeWith, requireTool } from '../tools/index.ts';

const rendererDir = fileURLToPath(new URL('../../dist/renderer', import.meta.url));

describeWith('chromium', 'the dashboard in a browser', () => {
  const counters = new Counters();
  let problems: string[] = [];
  let dashboard: Dashboard;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    const status = () => snapshotOf(counters, problems);
    dashboard = await startDashboard({ bind_address: '127.0.0.1', port: 0, rendererDir }, { status });
    browser = await chromium.launch({
      executablePath: requireTool('chromium'),
      args: ['--no-sandbox', '--disable-gpu'],
    });
    page = await browser.newPage();
    page.on('pageerror', error => complaints.push(String(error)));
    page.on('console', message => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    await page.goto(`http://${dashboard.address}/`);
  });

  afterAll(async () => {
    await browser?.close();
    await dashboard?.close();
  });

  it('says what to do before the first request', async () => {
    await page.getByText('Serving on 127.0.0.1:3128').waitFor();
    await page.getByText('No requests yet. This prints the lines to paste into a shell:').waitFor();
    await page.getByText('No problems.').waitFor();
  });

  it('follows the numbers and problems without a reload', async () => {
    Object.assign(counters, { requests: 4, hits: 3, misses: 1, bytes_from_cache: 3 * 2 ** 20, bytes_from_s3: 2 ** 20 });
    problems = ['The cache volume is full.'];
    await page.locator('[data-field="hits"]', { hasText: /^3$/ }).waitFor();
    expect(await page.locator('[data-field="share"]').textContent()).toBe('75\u00a0%');
    expect(await page.locator('[data-field="bytes-from-cache"]').textContent()).toBe('3\u00a0MiB');
    expect(await page.locator('#problems').textContent()).toBe('The cache volume is full.');
    expect(await page.locator('#empty').isVisible()).toBe(false);
  });

  it('moves nothing on the page when the numbers change', async () => {
    const places = () =>
      page.evaluate(() =>
        [...document.querySelectorAll('section, dd')].map(it => JSON.stringify(it.getBoundingClientRect())),
      );
    const before = await places();
    Object.assign(counters, {
      hits: 1_234_567,
      misses: 98_765,
      revalidated: 54_321,
      bytes_from_cache: 987.6 * 2 ** 40,
    });
    await page.locator('[data-field="hits"]', { hasText: '1,234,567' }).waitFor();
    expect(await places()).toEqual(before);
  });

  it('says that it lost the proxy, and broke no rule of its own policy', async () => {
    expect(complaints).toEqual([]);
    await dashboard.close();
    await page.getByText('Not serving, trying again').waitFor();
    await page.getByText('The dashboard does not answer. Is Cistern running?').waitFor();
  });
});
