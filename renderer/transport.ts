import type { Bridge, DesktopStatus } from '../main/desktop/ipc.ts';

declare global {
  interface Window {
    /** Put there by the app's preload script; absent in a browser. */
    readonly cistern?: Bridge;
  }
}

const POLL_MS = 1000;

/** Feeds `listener` about once a second: from the app that this window belongs to, else from the dashboard's port. */
export function connect(listener: (status: DesktopStatus) => void): void {
  if (window.cistern) followApp(window.cistern, listener);
  else void followPort(listener);
}

function followApp(bridge: Bridge, listener: (status: DesktopStatus) => void): void {
  let told = false;
  bridge.onStatus(status => {
    told = true;
    listener(status);
  });
  void bridge.status().then(status => {
    if (!told) listener(status);
  });
}

async function followPort(listener: (status: DesktopStatus) => void): Promise<void> {
  let snapshot: DesktopStatus['snapshot'] = null;
  for (;;) {
    try {
      const answer = await fetch('/api/status', { signal: AbortSignal.timeout(5 * POLL_MS) });
      if (!answer.ok) throw new Error(await answer.text());
      snapshot = await answer.json();
      listener({ core: { phase: 'serving' }, snapshot, shell_lines: [] });
    } catch {
      const reason = 'The dashboard does not answer. Is Cistern running?';
      listener({ core: { phase: 'down', reason, retry_in_ms: POLL_MS }, snapshot, shell_lines: [] });
    }
    await new Promise(resolve => setTimeout(resolve, POLL_MS));
  }
}
