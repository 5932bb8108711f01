import { expect, test } from 'vitest';
import type { RelayOutcome } from '../../proxy-core/listeners/index.ts';
import { RawClient } from './helpers.ts';
import { OK, own, start } from './relaying.ts';

test('an absolute-form request is relayed with its headers as they came, and so is the answer', async () => {
  const answer =
    'HTTP/1.1 200 Fine\r\nETag: "x"\r\nx-amz-Meta-B: \xc3\xa9\r\nx-amz-meta-a: 1\r\nX-Amz-Meta-b: 2\r\nContent-Disposition: attachment; filename="\xc3\xa9"\r\nContent-Length: 2\r\n\r\nhi';
  const { origin, client, host } = await start(socket => socket.write(answer, 'latin1'));
  client.send(
    `GET http://${host}/a%2Fb//../c?x=1& HTTP/1.1\r\nHost: ${host}\r\nX-b: 1\r\nx-A: \xc3\xa9\r\nX-B: 2\r\n\r\n`,
  );
  const text = await client.untilText('hi');
  expect(own(origin.heads[0]!)).toEqual([
    `GET /a%2Fb//../c?x=1& HTTP/1.1`,
    `Host: ${host}`,
    'X-b: 1',
    'x-A: \xc3\xa9',
    'X-B: 2',
  ]);
  expect(own(text).join('\r\n')).toBe(answer);
});

test.each(['GET', 'POST'])(
  'the head of an answer is the bytes that came, where its body is late (%s)',
  async method => {
    const named = 'Content-Disposition: attachment; filename="\xc3\xa9"';
    let body: () => void = () => {};
    const { client, host } = await start(socket => {
      socket.write(`HTTP/1.1 200 OK\r\n${named}\r\nContent-Length: 2\r\n\r\n`, 'latin1');
      body = () => socket.write('hi');
    });
    client.send(`${method} /k HTTP/1.1\r\nHost: ${host}\r\n${method === 'POST' ? 'Content-Length: 0\r\n' : ''}\r\n`);
    expect(own(await client.untilText('\r\n\r\n'))).toContain(named);
    body();
    expect(await client.untilText('hi')).toMatch(/\r\n\r\nhi$/);
  },
);

test('origin-form requests are relayed to their Host, one after the other on one connection', async () => {
  const { origin, client, host } = await start(socket => socket.write(OK));
  client.send(`GET /1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.split('hi').length === 2);
  client.send(`GET /2 HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.split('hi').length === 3);
  expect(origin.heads.map(head => head.split(' ')[1])).toEqual(['/1', '/2']);
});

test('pipelined requests are answered in order', async () => {
  const { client, host } = await start((socket, head) => {
    const name = head.split(' ')[1]!;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${name}`);
  });
  client.send(['/1', '/2', '/3'].map(path => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`).join(''));
  const text = await client.untilText('/3');
  expect(text.match(/\n\/\d/g)).toEqual(['\n/1', '\n/2', '\n/3']);
});

test('a pipelined request goes out only when the one before it has been answered', async () => {
  const answers: (() => void)[] = [];
  const { client, host, origin } = await start(socket => answers.push(() => socket.write(OK)));
  const request = (method: string, path: string) =>
    `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`;
  client.send(request('PUT', '/k') + request('GET', '/k'));
  await expect.poll(() => answers.length).toBe(1);
  expect(origin.heads.map(head => head.split(' ')[0])).toEqual(['PUT']);
  answers[0]!();
  await expect.poll(() => answers.length).toBe(2);
  answers[1]!();
  await client.until(({ text }) => text.split('hi').length === 3);
});

test('a chunked answer and its trailers go through', async () => {
  const { client, host } = await start(socket =>
    socket.write(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 9\r\n\r\n',
    ),
  );
  client.send(`GET /k HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const text = await client.untilText('X-Sum: 9\r\n\r\n');
  expect(text).toContain('2\r\nhi\r\n0\r\nX-Sum: 9\r\n\r\n');
});

test.each([
  ['GET', ''],
  ['PUT', 'Content-Length: 0\r\n'],
])('interim answers to %s pass before the final one', async (method, header) => {
  const { client, host } = await start(socket =>
    socket.write(
      `HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nX-y: \xe9\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${OK}`,
      'latin1',
    ),
  );
  client.send(`${method} /k HTTP/1.1\r\nHost: ${host}\r\n${header}\r\n`);
  const text = await client.untilText('hi');
  expect(text).toMatch(
    /^HTTP\/1.1 103 Early Hints\r\nLink: <\/a>; rel=preload\r\nX-y: \xe9\r\n\r\nHTTP\/1.1 102 Processing\r\n\r\nHTTP\/1.1 200 OK\r\n/,
  );
});

test.each(['GET', 'POST'])('an answer to %s that is cut short is cut for the client, too', async method => {
  const { client, host } = await start(socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
    setImmediate(() => socket.end());
  });
  const body = method === 'POST' ? 'Content-Length: 1\r\n\r\nx' : '\r\n';
  client.send(`${method} /k HTTP/1.1\r\nHost: ${host}\r\n${body}`);
  const text = await client.untilEnd();
  expect(text.split('\r\n\r\n')[1]).toMatch(/^(abc)?$/);
});

test('a chunked answer that is cut never gets its last chunk', async () => {
  const { client, host } = await start(socket => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    setImmediate(() => socket.end());
  });
  client.send(`GET /k HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  expect(await client.untilEnd()).not.toContain('\r\n0\r\n');
});

test('an answer whose end is the end of the connection arrives whole', async () => {
  const { client, host } = await start(socket => socket.end('HTTP/1.1 200 OK\r\n\r\nabcdef'));
  client.send(`GET /k HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  expect(await client.untilEnd()).toMatch(/6\r\nabcdef\r\n0\r\n\r\n$/);
});

test.each(['HEAD', 'GET'])('a bodiless answer to %s keeps its headers', async method => {
  const status = method === 'HEAD' ? '200 OK\r\nContent-Length: 99' : '304 Not Modified';
  const { client, host, origin } = await start(socket => socket.write(`HTTP/1.1 ${status}\r\nETag: "x"\r\n\r\n`));
  client.send(`${method} /1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const text = await client.untilText('\r\n\r\n');
  expect(own(text).join('\r\n')).toBe(`HTTP/1.1 ${status}\r\nETag: "x"\r\n\r\n`);
  client.send(`${method} /2 HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.split('\r\n\r\n').length === 3);
  expect(origin.connections).toBe(1);
});

test.each(['PROPFIND', 'PUT'])('%s without a body is relayed without inventing one', async method => {
  const { client, host, origin } = await start(socket => socket.write(OK));
  client.send(`${method} /k HTTP/1.1\r\nHost: ${host}\r\nDepth: 1\r\n\r\n`);
  await client.untilText('hi');
  expect(origin.heads[0]).not.toMatch(/transfer-encoding|content-length/i);
});

test('a client that goes away ends the request upstream', async () => {
  let gone: () => void;
  const aborted = new Promise<void>(resolve => {
    gone = resolve;
  });
  const { client, host } = await start(socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc');
    socket.on('close', () => gone());
  });
  client.send(`GET /k HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.untilText('abc');
  client.destroy();
  await aborted;
});

test('a slow reader holds the upstream back, and gets everything in the end', async () => {
  const size = 64 << 20;
  let written = 0;
  const { client, host, proxy } = await start(socket => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const chunk = Buffer.alloc(1 << 20, 'x');
    const more = () => {
      while (written < size) {
        written += chunk.length;
        if (!socket.write(chunk)) return;
      }
    };
    socket.on('drain', more);
    more();
  });
  client.socket.pause();
  client.send(`GET /k HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  let last = -1;
  while (written !== last || written === 0) {
    last = written;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  expect(written).toBeLessThan(size / 2);
  expect(proxy.activity.active_requests).toBe(1);
  let got = 0;
  await new Promise<void>(resolve => {
    client.socket.removeAllListeners('data').on('data', chunk => {
      got += chunk.length;
      if (got > size) resolve();
    });
    client.socket.resume();
  });
});

test('the observer hears of status and bytes, and extra headers are added', async () => {
  const heard: unknown[] = [];
  let done: (outcome: RelayOutcome) => void;
  const outcome = new Promise<RelayOutcome>(resolve => {
    done = resolve;
  });
  const observer = { onAnswer: (status: number) => void heard.push(status), onDone: (o: RelayOutcome) => done(o) };
  const { client, host } = await start(
    (socket, _head, rest) => {
      if (rest === 'abc') socket.write(OK);
      else socket.once('data', () => socket.write(OK));
    },
    { relay: { observer, extra: ['X-Cache', 'BYPASS'] } },
  );
  client.send(`POST /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 3\r\n\r\nabc`);
  expect(await client.untilText('hi')).toContain('X-Cache: BYPASS\r\n');
  expect(await outcome).toEqual({ bytesSent: 2, bytesReceived: 3 });
  expect(heard).toEqual([200]);
});

test.each(['GET', 'PUT'])('a target that cannot be passed on is 400 (%s)', async method => {
  const { client, host, origin } = await start(socket => socket.write(OK));
  client.send(`${method} /a\x0cb HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`);
  expect(await client.untilText('</Error>')).toMatch(/^HTTP\/1.1 400 .*InvalidRequest/s);
  expect(origin.heads).toEqual([]);
});

test.each(['GET', 'POST'])('a reason phrase that is not ASCII does no harm (%s)', async method => {
  const { client, host } = await start(socket =>
    socket.write('HTTP/1.1 200 \xff\xfe\r\nContent-Length: 2\r\n\r\nhi', 'latin1'),
  );
  client.send(`${method} / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`);
  expect(await client.untilText('hi')).toMatch(/^HTTP\/1.1 200 /);
});

test.each(['GET', 'POST'])(
  'control characters in an answer are an error, and the proxy lives on (%s)',
  async method => {
    const { client, host, proxy } = await start(socket =>
      socket.write('HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 2\r\n\r\nhi'),
    );
    client.send(`${method} / HTTP/1.1\r\nHost: ${host}\r\n${method === 'POST' ? 'Content-Length: 0\r\n' : ''}\r\n`);
    expect(await client.untilText('</Error>')).toMatch(/^HTTP\/1.1 502 .*BadGateway/s);
    expect(proxy.activity.active_connections).toBe(1);
  },
);

test('clients that come and go at any moment leave nothing behind', async () => {
  const size = 300_000;
  const { client, host, proxy } = await start((socket, head) => {
    if (head.startsWith('PUT')) socket.write(OK);
    else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
  });
  const one = async (i: number) => {
    const guest = new RawClient(proxy.port);
    const body = i % 2 ? `PUT /k HTTP/1.1\r\nContent-Length: ${size}` : 'GET /k HTTP/1.1';
    guest.send(`${body}\r\nHost: ${host}\r\n\r\n`);
    if (i % 2) guest.send('y'.repeat(i % 4 === 1 ? size : 1000));
    await new Promise(resolve => setTimeout(resolve, i % 20));
    if (i % 3) guest.destroy();
    else guest.socket.resetAndDestroy();
  };
  await Promise.all(Array.from({ length: 200 }, (_, i) => one(i)));
  client.send(`GET /k HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.untilText('xxx');
  const { activity } = proxy;
  while (activity.active_requests > 0 || activity.active_connections !== 1)
    await new Promise(resolve => setTimeout(resolve, 5));
});
