import { once } from 'node:events';
import type { Exchange, Reply } from '../../main/demo/origin/index.ts';
import { scripted } from './fault-answers.ts';
import { pause } from './fault-timing.ts';
import type { SetFault } from './faults.ts';

const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
/** Between two pieces of white space; S3 takes longer */
const BETWEEN_MS = 50;

const begun = new WeakMap<Exchange, number>();
const closed = new WeakMap<Exchange, Promise<unknown>>();

/** A piece of a write's body has been read: when may the next be? */
export async function pieceRead(set: SetFault, exchange: Exchange): Promise<void> {
  const { readRate, stopReadingAfter, resetUploadAfter } = set.fault;
  const { request, response, record } = exchange;
  const read = record.bytesReceived;
  if (readRate !== undefined) {
    const started = begun.get(exchange) ?? performance.now();
    begun.set(exchange, started);
    await pause(started + (read / readRate) * 1000 - performance.now());
  }
  if (resetUploadAfter !== undefined && read >= resetUploadAfter) request.socket.resetAndDestroy();
  if (stopReadingAfter !== undefined && read >= stopReadingAfter) {
    set.strike();
    const gone = closed.get(exchange) ?? once(response, 'close');
    closed.set(exchange, gone);
    await Promise.race([set.released, gone]);
  }
}

/** A write's body is in, and nothing has been changed: a reply is answered in place of doing it. */
export async function bodyIn(set: SetFault, exchange: Exchange): Promise<Reply | undefined> {
  const { fault } = set;
  if (fault.beforeWrite !== undefined || fault.keepAlive !== undefined) set.strike();
  if (fault.keepAlive !== undefined) {
    const chunks = (outcome: Promise<Reply | undefined>) => keptAlive(outcome, fault.keepAliveBy === 'declaration');
    exchange.begin(outcome => ({
      status: 200,
      headers: ['Content-Type', 'application/xml'],
      body: { chunks: chunks(outcome) },
    }));
    await pause(fault.keepAlive);
  }
  await pause(fault.beforeWrite);
  if (fault.drop === 'body') {
    exchange.request.socket.destroy();
    return scripted(fault);
  }
  return fault.answerAt === 'body' ? scripted(fault) : undefined;
}

/** White space until it is known what comes of the request, then that. */
async function* keptAlive(outcome: Promise<Reply | undefined>, declared: boolean): AsyncGenerator<Buffer> {
  yield Buffer.from(declared ? DECLARATION : ' \n');
  let reply: Reply | undefined;
  const known = outcome.then(found => {
    reply = found;
    return true;
  });
  while (!(await Promise.race([known, pause(BETWEEN_MS)]))) yield Buffer.from(' ');
  for await (const chunk of reply?.body?.chunks ?? []) {
    yield declared ? Buffer.from(chunk.toString('latin1').replace(DECLARATION, ''), 'latin1') : chunk;
  }
}
