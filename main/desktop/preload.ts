import { contextBridge, type IpcRendererEvent, ipcRenderer } from 'electron';
import type { Bridge, Calls, Pushes } from './ipc.ts';

const bridge: Bridge = {
  status: () => call('status:get'),
  onStatus: listener => on('status:changed', listener),
};

contextBridge.exposeInMainWorld('cistern', bridge);

function call<K extends keyof Calls>(channel: K): Promise<ReturnType<Calls[K]>> {
  return ipcRenderer.invoke(channel);
}

function on<K extends keyof Pushes>(channel: K, listener: (value: Pushes[K]) => void): () => void {
  const heard = (_event: IpcRendererEvent, value: Pushes[K]) => listener(value);
  ipcRenderer.on(channel, heard);
  return () => ipcRenderer.off(channel, heard);
}
