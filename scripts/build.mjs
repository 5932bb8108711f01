// Bundles the TypeScript of each entry point into dist/, with packages left outside the bundle.
import { existsSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const at = path => fileURLToPath(new URL(`../${path}`, import.meta.url));
const node = {
  bundle: true,
  platform: 'node',
  target: 'node20.18',
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
};
const present = entries => Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(file)));

await Promise.all([
  build({
    ...node,
    format: 'esm',
    outdir: at('dist'),
    outExtension: { '.js': '.mjs' },
    entryPoints: present({
      command: at('main/command/main.ts'),
      'desktop/core-process': at('main/desktop/core-process.ts'),
    }),
  }),
  build({
    ...node,
    format: 'cjs',
    outdir: at('dist'),
    outExtension: { '.js': '.cjs' },
    entryPoints: present({
      'desktop/main': at('main/desktop/main.ts'),
      'desktop/preload': at('main/desktop/preload.ts'),
    }),
    external: ['electron'],
  }),
  build({
    bundle: true,
    platform: 'browser',
    target: 'chrome120',
    format: 'esm',
    sourcemap: true,
    logLevel: 'warning',
    outdir: at('dist/renderer'),
    entryPoints: present({ main: at('renderer/main.ts') }),
  }),
]);
await mkdir(at('dist/renderer'), { recursive: true });
for (const file of ['index.html', 'style.css']) {
  if (existsSync(at(`renderer/${file}`))) await cp(at(`renderer/${file}`), at(`dist/renderer/${file}`));
}
