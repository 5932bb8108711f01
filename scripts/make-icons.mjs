// Draws the PNG icons of resources/ from its SVG files, with a Chromium that is on the PATH (or named by CHROMIUM).
// Run it after an SVG changed; the PNG files are committed.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const at = path => fileURLToPath(new URL(`../resources/${path}`, import.meta.url));
const SIZES = [16, 24, 32, 48, 64, 128, 256, 512];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
try {
  const page = await browser.newPage();
  for (const size of SIZES) await draw(page, 'icon.svg', `icons/${size}.png`, size);
  for (const name of ['tray', 'trayTemplate']) {
    await draw(page, `tray/${name}.svg`, `tray/${name}.png`, 22);
    await draw(page, `tray/${name}.svg`, `tray/${name}@2x.png`, 44);
  }
} finally {
  await browser.close();
}

async function draw(page, from, to, size) {
  const svg = (await readFile(at(from), 'utf8')).replace(
    '<svg ',
    `<svg width="${size}" height="${size}" style="display:block" `,
  );
  await page.setViewportSize({ width: size, height: size });
  await page.setContent(`<style>body{margin:0}</style>${svg}`);
  await writeFile(at(to), await page.screenshot({ omitBackground: true }));
}
