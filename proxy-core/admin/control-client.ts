import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import type { Hello } from './control-routes.ts';
import type { ControlError } from './control-server.ts';
import { socketsIn } from './control-socket.ts';

/** A proxy that runs on this machine, for this person. */
export interface RunningProxy extends Hello {
  readonly address: string;
}

/** How long a proxy may take to say who it is, ms. */
const PATIENCE = 3000;

/** All that answer in these folders. Folders that can't be looked into are told with the reason. */
export async function findProxies(
  folders: readonly string[],
): Promise<{ readonly proxies: readonly RunningProxy[]; readonly problems: readonly string[] }> {
  const problems: string[] = [];
  const found = await Promise.all(
    folders.map(async folder => {
      const sockets = await socketsIn(folder).catch((error: Error) => {
        problems.push(error.message);
        return [];
      });
      return Promise.all(sockets.map(({ address }) => hello(address)));
    }),
  );
  return { proxies: found.flat().filter(proxy => proxy !== undefined), problems };
}

/** What a proxy said against what was asked of it; the message says what to do, too. */
export class ControlRefused extends Error {
  readonly code: string;
  /** Without what to do. */
  readonly told: string;

  constructor({ code, message, action }: ControlError) {
    super(`${message} ${action}`);
    this.code = code;
    this.told = message;
  }
}

/** Asks a running proxy. Rejects with {@link ControlRefused}, or with the system's error. */
export async function ask<T>(address: string, method: string, target: string, signal?: AbortSignal): Promise<T> {
  const response = await send(address, method, target, signal);
  let body = '';
  for await (const text of response.setEncoding('utf8')) body += text;
  return unlessError(JSON.parse(body) as T | ControlError);
}

/** The same for an answer of many lines, each as it comes. One that ends before its `end` has come rejects. */
export async function* askMany<T extends { readonly type: string }>(
  address: string,
  method: string,
  target: string,
  signal?: AbortSignal,
): AsyncGenerator<T> {
  const response = await send(address, method, target, signal);
  let last = '';
  let rest = '';
  for await (const text of response.setEncoding('utf8')) {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = unlessError(JSON.parse(line) as T | ControlError);
      last = event.type;
      yield event;
    }
  }
  if (last !== 'end') throw new Error('the proxy ended before its answer was complete');
}

async function hello(address: string): Promise<RunningProxy | undefined> {
  try {
    return { ...(await ask<Hello>(address, 'GET', '/v1/hello', AbortSignal.timeout(PATIENCE))), address };
  } catch {
    // What a process that was killed has left, or one that does not answer: no proxy that could be asked.
    return undefined;
  }
}

/** An own agent: with NODE_USE_ENV_PROXY the shared one would ask through the very proxy that HTTP_PROXY names. */
async function send(address: string, method: string, target: string, signal?: AbortSignal): Promise<IncomingMessage> {
  const sent = request({
    socketPath: address,
    method,
    path: target,
    agent: new Agent(),
    ...(signal ? { signal } : {}),
  });
  sent.end();
  const [response] = await once(sent, 'response');
  return response as IncomingMessage;
}

function unlessError<T>(told: T | ControlError): T {
  if ((told as Partial<ControlError>).type === 'error') throw new ControlRefused(told as ControlError);
  return told as T;
}
