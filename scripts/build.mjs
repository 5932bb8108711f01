// Bundles the TypeScript of each entry point into dist/.

import { cp, mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const at = path => fileURLToPath(new URL(`../${path}`, import.meta.url));
const common = { bundle: true, sourcemap: true, logLevel: 'warning' };
const node = { ...common, platform: 'node', target: 'node20.18' };

await mkdir(at('dist/renderer'), { recursive: true });
await Promise.all([
  // What runs the core: packages stay outside the bundle, since some of them are native.
  build({
    ...node,
    format: 'esm',
    packages: 'external',
    outdir: at('dist'),
    outExtension: { '.js': '.mjs' },
    entryPoints: {
      command: at('main/command/main.ts'),
      worker: at('main/command/workers/worker-process.ts'),
      'desktop/core-process': at('main/desktop/core-process.ts'),
    },
  }),
  // Electron's own side, whole in one file each: a sandboxed preload script can load nothing else, and electron-store is
  // an ES module, which the CommonJS that Electron starts with can't require.
  build({
    ...node,
    format: 'cjs',
    outdir: at('dist/desktop'),
    outExtension: { '.js': '.cjs' },
    entryPoints: { main: at('main/desktop/main.ts'), preload: at('main/desktop/preload.ts') },
    external: ['electron'],
  }),
  build({
    ...common,
    sourcemap: false,
    platform: 'browser',
    target: 'chrome120',
    format: 'esm',
    minify: true,
    outdir: at('dist/renderer'),
    entryPoints: { main: at('renderer/main.ts') },
  }),
  ...['renderer/index.html', 'renderer/style.css', 'resources/icon.svg'].map(file =>
    cp(at(file), at(`dist/renderer/${file.split('/')[1]}`)),
  ),
]);
