import { afterEach, expect, test } from 'vitest';
import { type RelayHooks, type RelayObserver, relay } from '../../proxy-core/listeners/index.ts';
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
      return undefined;
    },
    onResponseBody: chunk => {
      bodies.got += chunk;
    },
  });
  client.send(PUT(host));
  await client.untilText('hi');
  expect(bodies).toEqual({ sent: 'abc', got: 'hi' });
});

test('a body that a hook holds waits, and goes on when it is let go', async () => {
  let arrived = '';
  let release: () => void = () => {};
  const held = gate();
  const { client, host } = await start(
    (socket, _head, first) => {
      arrived = first;
      socket.on('data', chunk => {
        arrived += chunk;
        if (arrived.endsWith('end')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
      });
    },
    {
      onRequestBody: (chunk, resume) => {
        if (String(chunk) !== 'a') return undefined;
        release = resume;
        void held.wait();
        return 'hold';
      },
    },
  );
  client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 300003\r\n\r\na`);
  await held.asked;
  client.send(`${'b'.repeat(299_999)}end`);
  await aWhile();
  expect(arrived.length).toBeLessThan(2);
  release();
  release();
  await client.untilText('hi');
});

test('the end of a body is told once it was whole, and before the answer', async () => {
  const seen: string[] = [];
  const hooks: RelayHooks = {
    onRequestBody: chunk => {
      seen.push(String(chunk));
      return undefined;
    },
    onRequestEnd: () => void seen.push('end'),
    beforeHeaders: () => {
      seen.push('answer');
      return undefined;
    },
  };
  const { client, host } = await start(socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'), hooks);
  client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`);
  await client.untilText('hi');
  client.send(PUT(host));
  await client.until(({ text }) => text.split('hi').length === 3);
  client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`);
  await client.until(({ text }) => text.split('hi').length === 4);
  expect(seen).toEqual(['end', 'answer', 'abc', 'end', 'answer', 'x', 'end', 'answer']);
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
  let notDone = 0;
  const hooks: RelayHooks = {
    onUnknownOutcome: () => {
      unknown++;
      return undefined;
    },
    onNotDone: () => void notDone++,
  };
  const proxy = await startProxy({ origins: ['127.0.0.1:1'], relay: { hooks } });
  open.push(() => proxy.close());
  for (const request of [PUT('127.0.0.1:1'), DELETE('127.0.0.1:1')]) {
    const client = new RawClient(proxy.port).send(request);
    expect(await client.untilText('</Error>')).toMatch(/^HTTP\/1.1 502 .*BadGateway/s);
    client.destroy();
  }
  expect({ unknown, notDone }).toEqual({ unknown: 0, notDone: 2 });
});

test('for a client that left before its request was passed on, nothing is sent', async () => {
  const seen: string[] = [];
  const hooks: RelayHooks = { onNotDone: () => void seen.push('not done') };
  const observer: RelayObserver = { onDone: ({ error }) => void seen.push(error?.code ?? 'done') };
  const passed = gate();
  const left = gate();
  const proxy = await startProxy({
    handle: async exchange => {
      exchange.res.once('close', () => void left.wait());
      await passed.wait();
      relay(exchange, proxy.upstream, { hooks, observer });
    },
  });
  open.push(() => proxy.close());
  const client = new RawClient(proxy.port).send(PUT('127.0.0.1:1'));
  await passed.asked;
  client.socket.resetAndDestroy();
  await left.asked;
  passed.open();
  await aWhile();
  expect(seen).toEqual(['not done', 'ClientClosedRequest']);
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
