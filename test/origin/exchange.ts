import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Status line and header lines as they came */
  readonly head: string;
  readonly body: Buffer;
  /** How the connection ended: closed by the other side, reset, or still open when the promised body was in */
  readonly end: 'closed' | 'reset' | 'complete';
}

/** Sends exact bytes over one connection and reads one answer, so that nothing is tidied up on the way. */
export async function exchangeRaw(port: number, sent: string | Buffer, host = '127.0.0.1'): Promise<RawAnswer> {
  const socket = connect(port, host);
  const chunks: Buffer[] = [];
  const isHead = sent.toString().startsWith('HEAD ');
  let end: RawAnswer['end'] = 'closed';
  socket.on('error', () => {
    end = 'reset';
  });
  socket.on('data', chunk => {
    chunks.push(chunk);
    if (isComplete(Buffer.concat(chunks), isHead)) {
      end = 'complete';
      socket.destroy();
    }
  });
  socket.write(typeof sent === 'string' ? Buffer.from(sent, 'latin1') : sent);
  await new Promise(resolve => socket.once('close', resolve));
  const whole = Buffer.concat(chunks);
  const split = whole.indexOf('\r\n\r\n');
  const head = whole.toString('latin1', 0, Math.max(split, 0));
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), head, body: whole.subarray(split + 4), end };
}

function isComplete(whole: Buffer, isHead: boolean): boolean {
  const split = whole.indexOf('\r\n\r\n');
  if (split < 0) return false;
  if (isHead) return true;
  const head = whole.toString('latin1', 0, split);
  const length = /^content-length: (\d+)$/im.exec(head)?.[1];
  if (length !== undefined) return whole.length - split - 4 >= Number(length);
  if (/^HTTP\/1\.1 (204|304)/.test(head)) return true;
  return /^transfer-encoding: chunked$/im.test(head) && whole.toString('latin1', whole.length - 5) === '0\r\n\r\n';
}

/** Flat raw headers as lines of a request. */
export function requestText(method: string, target: string, headers: readonly string[]): string {
  const lines: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}
