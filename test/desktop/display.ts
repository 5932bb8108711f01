import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Display {
  /** For the environment of what shall appear there */
  readonly name: string;
  close(): Promise<void>;
}

/** The display that is there, or an Xvfb of our own on a number that it finds free. */
export async function openDisplay(): Promise<Display> {
  const there = process.env.DISPLAY;
  if (there) return { name: there, close: async () => undefined };
  const xvfb = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const ended = once(xvfb, 'exit');
  const number = await Promise.race([
    // Written once it takes connections
    once(xvfb.stdio[3]!, 'data').then(([data]) => String(data).trim()),
    ended.then(([code]) => Promise.reject(new Error(`Xvfb ended with ${code}`))),
  ]);
  return {
    name: `:${number}`,
    close: async () => {
      xvfb.kill();
      await ended;
    },
  };
}
