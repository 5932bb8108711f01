import { afterEach } from 'vitest';
import { type RawOrigin, rawOrigin } from '../upstream/helpers.ts';
import { type Harness, type HarnessOptions, RawClient, startProxy } from './helpers.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** An origin that answers as told, a proxy before it, and a client; gone when the test is over. */
export async function start(
  answer: Parameters<typeof rawOrigin>[0],
  options: HarnessOptions = {},
): Promise<{ origin: RawOrigin; proxy: Harness; client: RawClient; host: string }> {
  const origin = await rawOrigin(answer);
  open.push(() => origin.close());
  const host = `127.0.0.1:${origin.port}`;
  const proxy = await startProxy({ origins: [host], ...options });
  open.push(() => proxy.close());
  const client = new RawClient(proxy.port);
  open.push(() => client.destroy());
  return { origin, proxy, client, host };
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

/** Lines that are for the connection are each hop's own. */
export function own(head: string): string[] {
  return head.split('\r\n').filter(line => !/^(connection|keep-alive|transfer-encoding):/i.test(line));
}
