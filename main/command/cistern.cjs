#!/usr/bin/env node
// The `cistern` command. libuv reads the size of its thread pool once, when the pool is first used, and ES modules are
// loaded through that pool: so the size is set here, before the first import. The disk's share of the pool is bounded
// well below it (proxy-core/store/disk), so that a hung volume leaves threads for DNS and LZ4.
process.env.UV_THREADPOOL_SIZE ??= '64';
const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

const entry = join(__dirname, '..', '..', 'dist', 'command.mjs');
if (!existsSync(entry)) {
  process.stderr.write("cistern: not built yet. Run 'npm run build' in the checkout, then try again.\n");
  process.exit(1);
}
import(pathToFileURL(entry).href);
