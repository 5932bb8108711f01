import type { Exchange, Reply } from '../../main/demo/origin/index.ts';
import { pause } from './fault-timing.ts';
import type { Fault, SetFault } from './faults.ts';

/** The answer as it is to go out; undefined where there is to be none. */
export async function answered(set: SetFault, exchange: Exchange, reply: Reply): Promise<Reply | undefined> {
  const { fault } = set;
  if (fault.beforeHeaders !== undefined) set.strike();
  await pause(fault.beforeHeaders);
  if (fault.drop === 'done') {
    exchange.request.socket.destroy();
    return undefined;
  }
  const changed = fault.rewrite ? fault.rewrite(reply, exchange.record) : reply;
  const last = fault.status === undefined ? changed : scripted(fault);
  return last.body ? { ...last, body: { ...last.body, chunks: disturbed(set, exchange, last.body.chunks) } } : last;
}

/** The error, or whatever else, that the script says. */
export function scripted(fault: Fault): Reply {
  const { status = 500 } = fault;
  const code = fault.code ?? (status === 503 ? 'SlowDown' : status === 403 ? 'AccessDenied' : 'InternalError');
  const body = Buffer.from(
    fault.body ??
      `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>scripted</Message></Error>`,
  );
  return {
    status,
    headers: fault.headers ?? ['Content-Type', 'application/xml'],
    body: { length: body.length, chunks: [body] },
  };
}

/** The body's chunks, cut exactly where something is to happen. */
async function* disturbed(
  set: SetFault,
  exchange: Exchange,
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const { fault } = set;
  const marks = [fault.at?.bytes, fault.stallAfter, fault.cutAfter, fault.resetAfter].filter(
    mark => mark !== undefined,
  );
  const pending = [...new Set(marks)].sort((a, b) => a - b);
  let sent = 0;
  for await (const chunk of chunks) {
    let rest = chunk;
    while (pending[0] !== undefined && pending[0] <= sent + rest.length) {
      const piece = rest.subarray(0, pending[0] - sent);
      rest = rest.subarray(piece.length);
      sent += piece.length;
      if (piece.length > 0) yield piece;
      await happen(set, exchange, pending.shift()!);
    }
    const step = fault.throttle === undefined ? rest.length : Math.ceil(fault.throttle / 20);
    for (let at = 0; at < rest.length; at += step) {
      const piece = rest.subarray(at, at + step);
      if (fault.throttle !== undefined) await pause((piece.length / fault.throttle) * 1000);
      sent += piece.length;
      yield piece;
    }
  }
}

async function happen(set: SetFault, { response, request }: Exchange, byte: number): Promise<void> {
  const { fault } = set;
  if (fault.at?.bytes === byte) await fault.at.run();
  if (fault.stallAfter === byte) {
    await flushed(response);
    set.strike();
    await Promise.race([set.released, new Promise(resolve => response.once('close', resolve))]);
  }
  if (fault.cutAfter === byte) {
    await flushed(response);
    request.socket.destroy();
  }
  if (fault.resetAfter === byte) {
    await flushed(response);
    // libuv tells its user of a plain end when a reset is found together with the data before it: give that time to be read.
    await pause(25);
    request.socket.resetAndDestroy();
  }
}

/** Resolves when what was written so far has left this process, so that a cut falls where the script says. */
async function flushed({ socket }: Exchange['response']): Promise<void> {
  if (!socket || socket.destroyed) return;
  await new Promise<void>(resolve => {
    socket.once('close', resolve);
    socket.write('', () => {
      socket.off('close', resolve);
      resolve();
    });
  });
}
