import { createServer, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readPlainHead } from '../../proxy-core/listeners/plain-head.ts';

const read = (text: string, from = 0) => readPlainHead(Buffer.from(text, 'latin1'), from);

const PLAIN = [
  'GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n',
  'HEAD /b/k?partNumber=1 HTTP/1.1\r\nHost: h:80\r\nRange: bytes=0-1\r\n\r\n',
  'GET http://b.s3.eu-west-1.amazonaws.com/k%20"<>|{}^`\\ HTTP/1.1\r\nhOsT:b.s3.eu-west-1.amazonaws.com\r\n\r\n',
  'GET / HTTP/1.1\r\nX-Empty:\r\nX-Spaces: \t a\tb \t\r\nX-Bytes: \x80\xff\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n',
  'GET / HTTP/1.1\r\nProxy-Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nHost: h\r\nX: 1\r\nX: 2\r\n\r\n',
];

const OTHER: [string, string][] = [
  ['another method', 'PUT / HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a method in lower case', 'get / HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a method that begins like one', 'GETS / HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['an empty line first', '\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: h\r\n\r\n'],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: h\r\n\r\n'],
  ['HTTP/0.9', 'GET /\r\n\r\n'],
  ['two spaces', 'GET  / HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a space behind the version', 'GET / HTTP/1.1 \r\nHost: h\r\n\r\n'],
  ['a tab for a space', 'GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a byte above 127 in the target', 'GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a fragment', 'GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['asterisk form', 'GET * HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['authority form', 'GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['another scheme', 'GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['user information', 'GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['absolute form without a path', 'GET http://h HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['no Host', 'GET / HTTP/1.1\r\nX: h\r\n\r\n'],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n'],
  ['no headers', 'GET / HTTP/1.1\r\n\r\n'],
  ['a bare LF', 'GET / HTTP/1.1\nHost: h\n\n'],
  ['a bare LF behind a header', 'GET / HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n'],
  ['a bare CR', 'GET / HTTP/1.1\r\nHost: h\rX: 1\r\n\r\n'],
  ['a NUL', 'GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n'],
  ['a control character', 'GET / HTTP/1.1\r\nHost: h\r\nX: a\x7fb\r\n\r\n'],
  ['a folded line', 'GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n'],
  ['a space before the colon', 'GET / HTTP/1.1\r\nHost : h\r\n\r\n'],
  ['no colon', 'GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n'],
  ['no name', 'GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n'],
  ['a bracket in a name', 'GET / HTTP/1.1\r\nHost: h\r\nX[: x\r\n\r\n'],
  ['a body', 'GET / HTTP/1.1\r\nHost: h\r\ncontent-length: 1\r\n\r\n'],
  ['an empty body', 'GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n'],
  ['a chunked body', 'GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['Expect', 'GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n'],
  ['Upgrade', 'GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n'],
  ['Connection: close', 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'],
  ['Connection that names a header', 'GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, range\r\n\r\n'],
  ['Proxy-Connection: close', 'GET / HTTP/1.1\r\nHost: h\r\nproxy-connection: close\r\n\r\n'],
  ['a very long head', `GET / HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
  ['very many headers', `GET / HTTP/1.1\r\nHost: h\r\n${'X: x\r\n'.repeat(200)}\r\n`],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
];

test.each(PLAIN)('is read as node:http reads it: %j', async text => {
  const head = read(text);
  expect(head).toMatchObject({ end: text.length });
  expect(head).toMatchObject(await asNode(text));
});

test.each(PLAIN)('is incomplete wherever it is cut: %j', text => {
  for (let length = 1; length < text.length; length++) expect(read(text.slice(0, length))).toBe('incomplete');
});

test.each(OTHER)('is left to node:http: %s', (_, text) => {
  expect(read(text)).toBe('other');
  // Also in pieces: never taken, and known for what it is at the latest when it is whole.
  for (let length = 1; length < Math.min(text.length, 200); length++)
    expect(['incomplete', 'other']).toContain(read(text.slice(0, length)));
});

test('the next one begins where it ends', () => {
  const text = PLAIN.join('');
  let at = 0;
  for (const one of PLAIN) {
    const head = read(text, at);
    expect(head).toMatchObject({ ...(read(one) as object), end: at + one.length });
    at += one.length;
  }
});

test('whatever is taken is what node:http reads', async () => {
  const oneOf = (...texts: string[]) => fc.constantFrom(...texts);
  const some = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code)),
    maxLength: 12,
  });
  const mostly = (usual: fc.Arbitrary<string>, odd: fc.Arbitrary<string>) =>
    fc.oneof({ arbitrary: usual, weight: 12 }, { arbitrary: odd, weight: 1 });
  const ends = mostly(fc.constant('\r\n'), oneOf('\n', '\r', '\r\r\n', '\r\n ', '\n\r', ' \r\n', ''));
  const name = mostly(
    oneOf(
      'Host',
      'hOST',
      'Range',
      'Connection',
      'Proxy-Connection',
      'Keep-Alive',
      'Authorization',
      'X-Amz-Date',
      'X!#$%&*+.^_|~',
    ),
    fc.oneof(oneOf('Content-Length', 'Transfer-Encoding', 'Upgrade', 'Expect', 'X Y', ' X', ''), some),
  );
  const value = mostly(
    oneOf(
      '',
      'h',
      ' h.example ',
      '\th:80',
      'keep-alive',
      'bytes=0-9',
      'Keep-Alive',
      'a\tb',
      '\x80\xff',
      'x'.repeat(40),
    ),
    fc.oneof(oneOf('close', '0', 'chunked', 'keep-alive, close', 'a\0', '100-continue'), some),
  );
  const line = fc
    .tuple(name, mostly(fc.constant(':'), oneOf(' :', '', '::', ':\r\n ')), value, ends)
    .map(parts => parts.join(''));
  const target = mostly(
    oneOf(
      '/',
      '/b/k',
      '/b/k?a=b&c',
      'http://h/',
      'http://h.example:80/b/k?x',
      "/!$&'()*+,;=:@-._~%zz",
      '//x',
      '/?',
      '/a?b?c',
    ),
    fc.oneof(
      oneOf('', '*', 'h:80', 'http://h', 'http://h?x', 'http:///x', '/#', 'ftp://h/'),
      some.map(text => `/${text}`),
    ),
  );
  const request = fc
    .tuple(
      mostly(oneOf('GET', 'HEAD'), fc.oneof(oneOf('PUT', 'get', ' GET', '\r\nGET', 'M-SEARCH'), some)),
      mostly(fc.constant(' '), oneOf('  ', '\t', '')),
      target,
      mostly(fc.constant(' HTTP/1.1'), oneOf(' HTTP/1.0', ' HTTP/1.10', ' HTTP/2.0', '  HTTP/1.1', ' http/1.1', '')),
      ends,
      fc.array(line, { maxLength: 6 }),
      ends,
    )
    .map(([method, gap, url, version, end, lines, last]) =>
      [method, gap, url, version, end, 'Host: h\r\n', ...lines, last].join(''),
    );
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(request, async text => {
      const head = read(text);
      if (typeof head === 'string') return;
      taken++;
      const { end, ...rest } = head;
      expect(rest).toEqual(await asNode(text.slice(0, end)));
      for (let length = 1; length < end; length++) expect(read(text.slice(0, length))).toBe('incomplete');
    }),
    { numRuns: 3_000 },
  );
  expect(taken).toBeGreaterThan(100);
});

/** What `node:http` makes of it: a request without a body whose connection stays open, and nothing left over. */
function asNode(text: string): Promise<object> {
  return new Promise((resolve, reject) => {
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const server = createServer({ requireHostHeader: false });
    server.maxHeadersCount = 0;
    const got: IncomingMessage[] = [];
    server
      .on('request', (req, res) => {
        got.push(req);
        expect(res.shouldKeepAlive).toBe(true);
        expect(req.httpVersion).toBe('1.1');
        req.on('end', () => {
          const { method, url, rawHeaders } = req;
          if (got.length === 1) resolve({ method, url, rawHeaders });
          else reject(new Error('more than one request'));
        });
        req.on('data', () => reject(new Error('it has a body'))).resume();
      })
      .on('clientError', reject)
      .emit('connection', socket);
    socket.push(Buffer.from(text, 'latin1'));
  });
}
