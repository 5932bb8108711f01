import { describe, expect, it } from 'vitest';
import { refuseCaller } from '../../proxy-core/admin/caller-check.ts';

const ask = (host: string | undefined, origin?: string, bind = '127.0.0.1', localAddress = '127.0.0.1') =>
  refuseCaller({ host, origin, localAddress }, bind);

describe('who may see the dashboard', () => {
  it.each(['localhost:8081', 'LOCALHOST', '127.0.0.1:8081', '127.0.0.1', '[::1]:8081', 'localhost:9000'])(
    'a request to %s is answered',
    host => {
      expect(ask(host)).toBeUndefined();
    },
  );

  it.each(['evil.example:8081', 'localhost.evil.example', '127.0.0.1.evil.example', '192.0.2.7:8081', 'localhost.'])(
    'a request to %s is refused: a rebound name is not ours',
    host => {
      expect(ask(host)).toMatch(/not served under the name/);
    },
  );

  it.each([undefined, '', 'a b', 'user@localhost', 'localhost:8081/x', '[::1', 'localhost:port'])(
    'a Host of %j is no host',
    host => {
      expect(ask(host)).toMatch(/no valid Host/);
    },
  );

  it('on all addresses, the address the connection came in on is known, another is not', () => {
    expect(ask('192.0.2.7:8081', undefined, '0.0.0.0', '192.0.2.7')).toBeUndefined();
    expect(ask('192.0.2.7:8081', undefined, '::', '::ffff:192.0.2.7')).toBeUndefined();
    expect(ask('192.0.2.8:8081', undefined, '0.0.0.0', '192.0.2.7')).toBeDefined();
    expect(ask('team-cache:8081', undefined, '0.0.0.0', '192.0.2.7')).toBeDefined();
  });

  it('a name that it is bound to is known', () => {
    expect(ask('cache.internal:8081', undefined, 'cache.internal', '192.0.2.7')).toBeUndefined();
  });

  it('an Origin must be the page it serves itself', () => {
    expect(ask('localhost:8081', 'http://localhost:8081')).toBeUndefined();
    for (const origin of ['https://localhost:8081', 'http://localhost:3000', 'http://evil.example', 'null']) {
      expect(ask('localhost:8081', origin)).toMatch(/own pages/);
    }
  });
});
