import { afterEach, expect, test } from 'vitest';
import type { RelayHooks } from '../../proxy-core/listeners/index.ts';
import { rawOrigin } from '../upstream/helpers.ts';
import { RawClient, startProxy } from './helpers.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(
  answer: Parameters<typeof rawOrigin>[0],
  hooks: RelayHooks,
): Promise<{ client: RawClient; host: string }> {
  const origin = await rawOrigin(answer);
  open.push(() => origin.close());
  const host = `127.0.0.1:${origin.port}`;
  const proxy = await startProxy({ origins: [host], relay: { hooks } });
  open.push(() => proxy.close());
  const client = new RawClient(proxy.port);
  open.push(() => client.destroy());
  return { client, host };
}

/** A promise that the test settles, and one that tells when it is waited for. */
function gate(): { wait: () => Promise<void>; asked: Promise<void>; open: () => void } {
  let ask!: () => void;
  let release!: () => void;
  const asked = new Promise<void>(resolve => {
    ask = resolve;
  });
  const released = new Promise<void>(resolve => {
    release = resolve;
  });
  const wait = () => {
    ask();
    return released;
  };
  return { wait, asked, open: () => release() };
}

/** Long enough for a byte to cross two loopback connections, had it been let go. */
const aWhile = () => new Promise(resolve => setTimeout(resolve, 50));

const PUT = (host: string) => `PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 3\r\n\r\nabc`;
const DELETE = (host: string) => `DELETE /k HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

test.each([
  ['PUT', PUT],
  ['DELETE', DELETE],
])('the client of a %s hears nothing before beforeHeaders is through', async (_name, request) => {
  const held = gate();
  const seen: unknown[] = [];
  const { client, host } = await start(
    socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: "e"\r\n\r\nhi'),
    {
      beforeHeaders: (status, headers) => {
        seen.push(status, headers.includes('"e"'));
        return held.wait();
      },
    },
  );
  client.send(request(host));
  await held.asked;
  await aWhile();
  expect(client.text).toBe('');
  held.open();
  expect(await client.untilText('\r\n\r\nhi')).toMatch(/^HTTP\/1.1 200 OK/);
  expect(seen).toEqual([200, true]);
});

test('the hooks see both bodies', async () => {
  const bodies = { sent: '', got: '' };
  const { client, host } = await start(socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'), {
    onRequestBody: chunk => {
      bodies.sent += chunk;
    },
    onResponseBody: chunk => {
      bodies.got += chunk;
    },
  });
  client.send(PUT(host));
  await client.untilText('hi');
  expect(bodies).toEqual({ sent: 'abc', got: 'hi' });
});

test('with holdsEnd the answer is not complete before beforeEnd is through', async () => {
  const held = gate();
  const { client, host } = await start(
    socket => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc');
      setImmediate(() => socket.write('def'));
    },
    { holdsEnd: true, beforeEnd: held.wait },
  );
  client.send(PUT(host));
  await held.asked;
  await aWhile();
  expect(client.text).not.toContain('def');
  held.open();
  await client.untilText('abcdef');
});

test('an upstream that dies after the request is an unknown outcome, and the client hears of it afterwards', async () => {
  const held = gate();
  const { client, host } = await start(socket => socket.end(), { onUnknownOutcome: held.wait });
  client.send(PUT(host));
  await held.asked;
  await aWhile();
  expect(client.text).toBe('');
  held.open();
  expect(await client.untilText('</Error>')).toMatch(/^HTTP\/1.1 502 .*BadGateway/s);
});

test('an upstream that dies in its answer is an unknown outcome, too', async () => {
  const held = gate();
  const { client, host } = await start(
    socket => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc');
      setImmediate(() => socket.end());
    },
    { onUnknownOutcome: held.wait },
  );
  client.send(PUT(host));
  await held.asked;
  expect(client.closed).toBe(false);
  held.open();
  expect(await client.untilEnd()).toMatch(/abc$/);
});

test('an upstream that is not reached is no unknown outcome', async () => {
  let unknown = 0;
  const hooks: RelayHooks = {
    onUnknownOutcome: () => {
      unknown++;
      return undefined;
    },
  };
  const proxy = await startProxy({ origins: ['127.0.0.1:1'], relay: { hooks } });
  open.push(() => proxy.close());
  for (const request of [PUT('127.0.0.1:1'), DELETE('127.0.0.1:1')]) {
    const client = new RawClient(proxy.port).send(request);
    expect(await client.untilText('</Error>')).toMatch(/^HTTP\/1.1 502 .*BadGateway/s);
    client.destroy();
  }
  expect(unknown).toBe(0);
});

test('a write whose client leaves before the answer is seen through all the same', async () => {
  const held = gate();
  let answer!: () => void;
  let got!: () => void;
  const arrived = new Promise<void>(resolve => {
    got = resolve;
  });
  const end = gate();
  const { client, host } = await start(
    socket => {
      answer = () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
      got();
    },
    { beforeHeaders: held.wait, beforeEnd: end.wait },
  );
  client.send(PUT(host));
  await arrived;
  const closed = new Promise(resolve => client.socket.once('close', resolve));
  client.destroy();
  await closed;
  await aWhile();
  answer();
  await held.asked;
  held.open();
  await end.asked;
});

test('an upload that its client breaks off is an unknown outcome', async () => {
  const held = gate();
  let got!: () => void;
  const arrived = new Promise<void>(resolve => {
    got = resolve;
  });
  const { client, host } = await start(() => got(), { onUnknownOutcome: held.wait });
  client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 300\r\n\r\nabc`);
  await arrived;
  client.destroy();
  await held.asked;
});

test('a hook that fails never lets the answer through', async () => {
  const { client, host } = await start(socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'), {
    beforeHeaders: () => Promise.reject(new Error('no')),
  });
  client.send(PUT(host));
  expect(await client.untilText('</Error>')).toMatch(/^HTTP\/1.1 500 .*InternalError/s);
});
