// `npm start`: the tray app where Electron and a display are there, else the proxy in this terminal.
//   npm start                      tray, or headless
//   npm start -- --config FILE     the same with settings
//   npm start -- --port 4000 …     any other flag of `cistern serve`: in this terminal
//   npm start -- --demo            the demo
// Only synchronous fs here: libuv's thread pool must not be used before cistern.cjs has set its size.
const { existsSync, readFileSync } = require('node:fs');
const { join } = require('node:path');
const { spawn, spawnSync } = require('node:child_process');

const checkout = join(__dirname, '..');
// An app that ends this soon has not started: no sandbox, no such display, a library that is missing.
const SOON_MS = 10_000;

// One command, not two joined by the shell: then npm's signals reach this process.
const built = spawnSync(process.execPath, [join(checkout, 'scripts', 'build.mjs')], { stdio: 'inherit' });
if (built.status !== 0) process.exit(built.status ?? 1);

const args = process.argv.slice(2);
const config = configFile(args);
if (args[0] === '--demo') inThisTerminal(['demo', ...args.slice(1)]);
else if (args.length > 0 && !config) inThisTerminal(['serve', ...args]);
else start();

function start() {
  const { electron, why } = trayApp();
  if (electron) inTray(electron);
  else {
    if (why) say(why);
    inThisTerminal(['serve', ...args]);
  }
}

/** The Electron to run, or why the proxy runs in this terminal instead (undefined where nothing else was to be expected). */
function trayApp() {
  const { env, platform } = process;
  if (!existsSync(join(checkout, 'dist', 'desktop', 'main.cjs'))) return {};
  if (platform === 'linux' && !env.DISPLAY && !env.WAYLAND_DISPLAY) return {};
  if (env.CISTERN_ELECTRON) {
    if (existsSync(env.CISTERN_ELECTRON)) return { electron: env.CISTERN_ELECTRON };
    return {
      why: `CISTERN_ELECTRON names ${env.CISTERN_ELECTRON}, which is not there; the proxy runs in this terminal.`,
    };
  }
  if (platform === 'linux' && process.getuid() === 0) {
    return { why: 'Electron does not run as root, so the proxy runs in this terminal.' };
  }
  const folder = join(checkout, 'node_modules', 'electron');
  if (!existsSync(folder)) return {};
  const installed = installedElectron(folder);
  if (installed) return { electron: installed };
  return {
    why: 'For the tray app get Electron once: npx install-electron. Until then the proxy runs in this terminal.',
  };
}

/** Electron's npm package fetches its program only when asked to, and then names it in path.txt. */
function installedElectron(folder) {
  const named = join(folder, 'path.txt');
  if (!existsSync(named)) return undefined;
  const dist = process.env.ELECTRON_OVERRIDE_DIST_PATH || join(folder, 'dist');
  const program = join(dist, readFileSync(named, 'utf8').trim());
  return existsSync(program) ? program : undefined;
}

function inTray(electron) {
  const env = { ...process.env };
  // Left over from a terminal inside an Electron app, it would make Electron a plain Node.
  delete env.ELECTRON_RUN_AS_NODE;
  const began = Date.now();
  let asked = false;
  const child = spawn(electron, [checkout, ...(config ? [`--config=${config}`] : [])], { stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      asked = true;
      child.kill(signal);
    });
  }
  const headless = reason => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(signal);
    say(`The tray app did not start (${reason}), so the proxy runs in this terminal.`);
    inThisTerminal(['serve', ...args]);
  };
  child.once('error', error => headless(error.message));
  child.once('exit', (code, signal) => {
    if (code !== 0 && !asked && Date.now() - began < SOON_MS) headless(signal ?? `exit code ${code}`);
    else process.exitCode = code ?? 1;
  });
}

function inThisTerminal(command) {
  process.argv.splice(2, process.argv.length, ...command);
  require('./command/cistern.cjs');
}

/** The settings file, where that is all that was given. */
function configFile(given) {
  if (given.length === 0) return process.env.CISTERN_CONFIG || undefined;
  if (given.length === 1) return /^--config=(.+)$/s.exec(given[0])?.[1];
  return given.length === 2 && (given[0] === '--config' || given[0] === '-c') ? given[1] : undefined;
}

function say(line) {
  process.stderr.write(`cistern: ${line}\n`);
}
