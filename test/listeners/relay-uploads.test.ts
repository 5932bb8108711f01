import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { OK, own, start } from './relaying.ts';

test('an upload with Content-Length arrives byte for byte', async () => {
  const body = Buffer.alloc(3 << 20, 'abcdefg');
  let got = 0;
  const { client, host, origin } = await start((socket, _head, rest) => {
    got = rest.length;
    const count = (chunk: Buffer) => {
      got += chunk.length;
      if (got === body.length) socket.write(OK);
    };
    socket.on('data', count);
  });
  client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\nX-Y: 1\r\n\r\n`);
  client.socket.write(body);
  await client.untilText('hi');
  expect(got).toBe(body.length);
  expect(own(origin.heads[0]!)).toEqual([
    'PUT /k HTTP/1.1',
    `Host: ${host}`,
    `Content-Length: ${body.length}`,
    'X-Y: 1',
  ]);
});

test('a chunked upload and its trailers go through', async () => {
  let seen = '';
  const { client, host } = await start((socket, _head, rest) => {
    seen += rest;
    const look = (chunk?: Buffer) => {
      seen += chunk?.toString() ?? '';
      if (seen.endsWith('\r\n\r\n')) socket.write(OK);
    };
    socket.on('data', look);
    look();
  });
  client.send(
    `PUT /k HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n`,
  );
  await client.untilText('hi');
  expect(seen).toBe('3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n');
});

test('Expect: 100-continue is answered by the upstream, and the connection is kept', async () => {
  const { client, host, origin } = await start((socket, head) => {
    if (head.startsWith('GET')) socket.write(OK);
    else {
      socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      socket.once('data', body => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n${body}`));
    }
  });
  client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
  await client.untilText('HTTP/1.1 100 Continue\r\n\r\n');
  expect(origin.heads[0]).toContain('Expect: 100-continue');
  client.send('hello');
  const text = await client.untilText('hello');
  expect(text).not.toMatch(/connection: close/i);
  client.send(`GET /k HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.untilText('\r\n\r\nhi');
});

test.each([
  ['Content-Length: 5\r\nExpect: 100-continue', 'hello'],
  ['Transfer-Encoding: chunked\r\nExpect: 100-continue', '5\r\nhello\r\n0\r\n\r\n'],
  ['Content-Length: 0\r\nExpect: 100-continue', ''],
  ['Content-Length: 5', 'hello'],
  ['Content-Length: 0', ''],
])('headers that are not ASCII are the bytes that came, with %j', async (about, body) => {
  const { client, host, origin } = await start(socket => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${OK}`));
  const named = 'Content-Disposition: attachment; filename="\xc3\xbc.csv"';
  client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\n${named}\r\n${about}\r\n\r\n${body}`);
  await client.untilText('hi');
  expect(own(origin.heads[0]!)).toContain(named);
});

test('a refusal instead of 100 reaches the client, whose connection is then closed', async () => {
  const { client, host } = await start(socket => socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
  client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
  const text = await client.untilEnd();
  expect(text).toMatch(/^HTTP\/1.1 403 Forbidden\r\n.*connection: close.*no$/is);
});

test('a refusal reaches a client, too, that sends its body without waiting for 100', async () => {
  let bytes = 0;
  const { client, host } = await start((socket, _head, rest) => {
    bytes += rest.length;
    socket.on('data', chunk => {
      bytes += chunk.length;
    });
    setTimeout(() => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno'), 50);
  });
  const body = 'x'.repeat(5 << 20);
  client.send(
    `PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n${body}`,
  );
  expect(await client.untilEnd()).toMatch(/^HTTP\/1.1 403 Forbidden\r\n.*no$/is);
  expect(bytes).toBe(0);
});

test('a body goes to a server that says nothing of 100, after a while', async () => {
  const { client, host } = await start(socket => socket.once('data', () => socket.write(OK)));
  client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello`);
  await client.untilText('hi');
});

test('an upload that its client breaks off ends upstream incomplete', async () => {
  let done: (complete: boolean) => void;
  const ended = new Promise<boolean>(resolve => {
    done = resolve;
  });
  let got = 0;
  let started: () => void;
  const begun = new Promise<void>(resolve => {
    started = resolve;
  });
  const { client, host } = await start(socket => {
    started();
    socket.on('data', chunk => {
      got += chunk.length;
    });
    socket.on('close', () => done(got >= 1000));
  });
  client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\n\r\nabc`);
  await begun;
  client.destroy();
  expect(await ended).toBe(false);
});

test('an answer that comes before the whole body ends the upload', async () => {
  let gone: () => void;
  const closed = new Promise<void>(resolve => {
    gone = resolve;
  });
  const { client, host } = await start(socket => {
    socket.on('close', () => gone());
    socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
  });
  client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\n\r\nabc`);
  expect(await client.untilEnd()).toMatch(/^HTTP\/1.1 403 Forbidden\r\n.*connection: close.*no$/is);
  await closed;
});

/** A server that answers when it has a body of five bytes; its bodies and, once for each request, its connections. */
function takingFives() {
  const bodies: string[] = [];
  const kept: Socket[] = [];
  const answer = (socket: Socket, _head: string, rest: Buffer | string) => {
    kept.push(socket);
    let body = '';
    const look = (chunk: Buffer | string) => {
      body += chunk.toString();
      if (body.length < 5) return;
      bodies.push(body);
      socket.off('data', look).write(OK);
    };
    socket.on('data', look);
    look(rest);
  };
  return { bodies, kept, answer };
}

/** Acts when the proxy has the next head, and before it does anything with it. */
function atNextRequest(act: () => void): void {
  const once = () => {
    unsubscribe('http.server.request.start', once);
    act();
  };
  subscribe('http.server.request.start', once);
}

test.each([
  ['in the same turn of the loop', (close: () => void) => close()],
  ['just after', (close: () => void) => atNextRequest(() => setImmediate(close))],
])('an upload that comes as S3 closes the kept connection, %s, goes out on another one', async (_when, when) => {
  const { bodies, kept, answer } = takingFives();
  const { client, host } = await start(answer);
  const put = (body: string) =>
    client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  const answers = (count: number) => client.until(({ text }) => text.split('HTTP/1.1 ').length > count);
  for (let i = 0; i < 10; i++) {
    put(`one-${i}`);
    await answers(2 * i + 1);
    // Both are there when the loop looks next, and this is the first that it comes to.
    put(`two-${i}`);
    when(() => kept.at(-1)!.destroy());
    await answers(2 * i + 2);
  }
  expect(client.text).not.toContain(' 502 ');
  expect(bodies).toEqual(Array.from({ length: 10 }, (_, i) => [`one-${i}`, `two-${i}`]).flat());
});

test.each([
  ['in the same turn of the loop', (close: () => void) => close()],
  ['just after', (close: () => void) => atNextRequest(() => setImmediate(close))],
])(
  'what a server says as it closes a kept connection, %s, is no answer to an upload that was not sent',
  async (_when, when) => {
    const kept: Socket[] = [];
    const { client, host, origin } = await start((socket, _head, rest) => {
      kept.push(socket);
      if (rest === 'hello') socket.write(OK);
      else socket.once('data', () => socket.write(OK));
    });
    const put = () => client.send(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\nhello`);
    put();
    await client.untilText('hi');
    put();
    when(() => kept[0]!.end('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'));
    await client.until(({ text }) => text.split('HTTP/1.1 ').length > 2);
    expect(client.text).not.toContain(' 408 ');
    expect(client.text.split(' 200 OK')).toHaveLength(3);
    expect(origin.heads).toHaveLength(2);
  },
);

test.each([
  ['as S3 closes the kept connection', 'hello', (close: () => void) => atNextRequest(() => setImmediate(close))],
  ['only after S3 has closed the kept connection', '', (close: () => void) => setTimeout(close, 20)],
])('an upload that comes %s is whole where the way to another one takes a while', async (_when, sent, when) => {
  const { bodies, kept, answer } = takingFives();
  const { client, host, proxy } = await start(answer);
  const head = `PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\n`;
  const { upstream } = proxy;
  const route = upstream.relayRoute.bind(upstream);
  let routes = 0;
  vi.spyOn(upstream, 'relayRoute').mockImplementation(async (...to) => {
    if (++routes === 3) {
      client.send('hello'.slice(sent.length));
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    return route(...to);
  });
  client.send(`${head}first`);
  await client.untilText('hi');
  client.send(head + sent);
  when(() => kept[0]!.destroy());
  await client.until(({ text }) => text.split('HTTP/1.1 200').length > 2);
  expect(routes).toBe(3);
  expect(bodies).toEqual(['first', 'hello']);
});

test.each([
  ['PUT', 'X-Y: 1', 'answered by another connection', ' 200 '],
  ['PUT', 'If-Match: "a"', 'told as unknown, not repeated', ' 502 '],
  ['DELETE', 'x-amz-if-match-size: 1', 'told as unknown, not repeated', ' 502 '],
])('a %s without a body and with %s, whose kept connection is lost, is %s', async (method, header, _how, status) => {
  let count = 0;
  const { client, host, origin } = await start(socket => {
    if (++count === 2) socket.destroy();
    else socket.write(OK);
  });
  const send = (lines: string) => client.send(`${lines}\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`);
  send('PUT /first HTTP/1.1');
  await client.untilText('hi');
  send(`${method} /k HTTP/1.1\r\n${header}`);
  await client.until(({ text }) => text.split('HTTP/1.1 ').length > 2);
  expect(client.text.split('HTTP/1.1').at(-1)).toContain(status);
  expect(origin.heads.length).toBe(status === ' 200 ' ? 3 : 2);
});

test.each([
  ['large', 100_000, 2],
  ['small', 100, 1],
])('the connection of a refused upload is kept only where its body was %s', async (_size, length, connections) => {
  let got = 0;
  const { client, host, origin } = await start((socket, _head, rest) => {
    got = rest.length;
    const answer = (chunk?: Buffer) => {
      got += chunk?.length ?? 0;
      if (got >= length) socket.write('HTTP/1.1 412 No\r\nContent-Length: 2\r\n\r\nno');
    };
    socket.on('data', answer);
    answer();
  });
  const put = `PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length)}`;
  client.send(put);
  await client.untilText('\r\n\r\nno');
  client.send(put);
  await client.until(({ text }) => text.split('\r\n\r\nno').length === 3);
  expect(origin.connections).toBe(connections);
});
