import type { Socket } from 'node:net';
import { type Core, startCore } from '../../../proxy-core/core.ts';
import { compileAtFirstCall } from '../early-compilation.ts';
import { HandedConnections } from './handed.ts';
import { type FromWorker, plainError, type ToWorker, type WorkerOptions } from './messages.ts';

/**
 * Entry point of a worker's process (bundled to dist/worker.mjs): hosts one core, whose connections the primary accepts, and ends
 * when the primary says so, or has ended itself.
 */

/** For the end when nobody is there any more to wait for it, ms. */
const LAST_PATIENCE = 2000;

let core: Promise<Core> | undefined;
let connections: HandedConnections | undefined;
let stopping = false;

process.on('message', (message: ToWorker, socket?: Socket) => {
  switch (message.type) {
    case 'start':
      core = start(message.options);
      core.then(() => {
        compileAtFirstCall();
        tell({ type: 'serving' });
      }, fail);
      break;
    case 'connection':
      connections?.hand(socket);
      break;
    case 'tell':
      core?.then(
        running =>
          tell({
            type: 'figures',
            number: message.number,
            taken: connections?.taken ?? 0,
            figures: running.figures(),
          }),
        () => {},
      );
      break;
    case 'settings':
      core?.then(
        running => running.applySettings(message.settings),
        () => {},
      );
      break;
    case 'stop':
      void stop();
      break;
  }
});

process.on('disconnect', () => {
  // Nobody hands it connections any more, or would start it again. A thread that hangs on the volume must not keep it.
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), LAST_PATIENCE);
  void stop(0);
});

// A terminal and systemd send them to every process; the primary hears them, too, and says when to stop.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {});

function start({ name, version, settings, address, controlFolder }: WorkerOptions): Promise<Core> {
  connections = new HandedConnections(address, (taken, open) => tell({ type: 'connections', taken, open }));
  return startCore(settings, {
    version,
    controlFolders: [controlFolder],
    worker: { name, inlet: connections },
  });
}

async function stop(grace?: number): Promise<void> {
  if (stopping && grace === undefined) return;
  stopping = true;
  // Why it did not start, if it did not, was told already.
  const running = await core?.catch(() => undefined);
  await running?.stop(grace);
  process.exit(0);
}

function fail(error: Error): void {
  tell({ type: 'failed', error: plainError(error) }, () => process.exit(1));
}

function tell(message: FromWorker, told: () => void = () => {}): void {
  // One that nobody hears any more is on its way to the end already.
  process.send!(message, undefined, undefined, told);
}
