import { FAILED, processIo } from './io.ts';
import { run } from './program.ts';

/** Entry point of the `cistern` command (bundled to dist/command.mjs and started by cistern.cjs). */
const io = processIo();
let code: number;
try {
  code = await run(process.argv.slice(2), io);
} catch (error) {
  io.err(`cistern: ${(error as Error).stack ?? error}`);
  code = FAILED;
}
// Not left to the event loop: connections that a client keeps open must not hold the end of the process.
process.stdout.write('', () => process.exit(code));
