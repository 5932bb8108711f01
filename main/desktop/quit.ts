import { app } from 'electron';

// Ctrl-C reaches this process from the terminal and again through npm: only a later one is a second wish.
const ONE_WISH_MS = 500;

/** Holds a quit (menu, signal, end of the session) until the core has stopped. Who quits again has it end at once. */
export function quitAfter(core: { stop(): Promise<void>; kill(): void }): void {
  let stopped = false;
  let firstAt: number | undefined;
  app.on('will-quit', event => {
    if (stopped) return;
    event.preventDefault();
    if (firstAt !== undefined) {
      if (performance.now() - firstAt > ONE_WISH_MS) core.kill();
      return;
    }
    firstAt = performance.now();
    core.stop().then(() => {
      stopped = true;
      app.quit();
    });
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => app.quit());
}
