import { setTimeout as wait } from 'node:timers/promises';
import type { Hooks } from './origin/index.ts';

export interface Pace {
  readonly firstByteMs: number;
  readonly bytesPerSecond: number;
}

/** Slows an origin's answers to what S3 is over a line: otherwise a demo on one machine would measure only memory. */
export function paced({ firstByteMs, bytesPerSecond }: Pace): Hooks {
  return {
    async onReply(_, reply) {
      await wait(firstByteMs);
      return reply.body
        ? { ...reply, body: { ...reply.body, chunks: slowly(reply.body.chunks, bytesPerSecond) } }
        : reply;
    },
  };
}

async function* slowly(
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
  bytesPerSecond: number,
): AsyncGenerator<Buffer> {
  const started = performance.now();
  let sent = 0;
  for await (const chunk of chunks) {
    const ahead = (sent / bytesPerSecond) * 1000 - (performance.now() - started);
    if (ahead > 1) await wait(ahead);
    sent += chunk.length;
    yield chunk;
  }
}
