import { type BrowserWindow, ipcMain } from 'electron';
import type { Calls, Pushes } from './ipc.ts';
import { PAGE_ORIGIN } from './renderer-protocol.ts';

/** Answers one channel of the table, for the app's own page only. */
export function answerCall<K extends keyof Calls>(channel: K, handler: Calls[K]): void {
  ipcMain.handle(channel, event => {
    const url = event.senderFrame?.url ?? '';
    if (!url.startsWith(`${PAGE_ORIGIN}/`)) throw new Error(`${channel} was called by a page that is not Cistern's.`);
    return handler();
  });
}

export function push<K extends keyof Pushes>(window: BrowserWindow, channel: K, value: Pushes[K]): void {
  if (!window.isDestroyed()) window.webContents.send(channel, value);
}
