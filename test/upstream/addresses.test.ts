import { afterEach, describe, expect, test } from 'vitest';
import { Health } from '../../proxy-core/upstream/health.ts';
import { createUpstream, type UpstreamOptions } from '../../proxy-core/upstream/index.ts';
import { Resolver } from '../../proxy-core/upstream/resolver.ts';
import { get, type RawOrigin, rawOrigin, STANDARD } from './helpers.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

/** Origins on several addresses of this machine that share a port. */
async function several(addresses: readonly string[]): Promise<{ origins: RawOrigin[]; port: number }> {
  for (;;) {
    const first = await rawOrigin(socket => socket.write(OK), addresses[0]!);
    try {
      const rest = await Promise.all(
        addresses.slice(1).map(host => rawOrigin(socket => socket.write(OK), host, first.port)),
      );
      open.push(() => Promise.all([first, ...rest].map(origin => origin.close())));
      return { origins: [first, ...rest], port: first.port };
    } catch {
      // Another process has the port on one of the addresses.
      await first.close();
    }
  }
}

function upstream(options: Partial<UpstreamOptions>) {
  const made = createUpstream({ ...STANDARD, ...options });
  open.push(() => made.close());
  return made;
}

const LOCAL = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];

test('requests are spread over the addresses of an endpoint override', async () => {
  const { origins, port } = await several(LOCAL);
  const up = upstream({ endpointOverrides: { 'store.example': LOCAL } });
  for (let i = 0; i < 6; i++) await get(up, { authority: `store.example:${port}` });
  expect(origins.map(origin => origin.heads.length)).toEqual([2, 2, 2]);
  expect(origins[0]!.heads[0]).toContain(`Host: store.example:${port}`);
});

test('an address that cannot be connected to costs a try elsewhere, and after three leaves the rotation', async () => {
  const { origins, port } = await several(LOCAL);
  await origins[1]!.close();
  const up = upstream({ endpointOverrides: { 'store.example': LOCAL } });
  for (let i = 0; i < 12; i++) expect((await get(up, { authority: `store.example:${port}` })).status).toBe(200);
  expect(origins[0]!.heads.length + origins[2]!.heads.length).toBe(12);
});

test('an address comes back when a probe succeeds', async () => {
  const { origins, port } = await several(LOCAL.slice(0, 2));
  await origins[1]!.close();
  const health = { threshold: 1, initialCooldown: 20, maxCooldown: 50 };
  const up = upstream({ endpointOverrides: { 'store.example': LOCAL.slice(0, 2) }, health });
  for (let i = 0; i < 2; i++) await get(up, { authority: `store.example:${port}` });
  const back = await rawOrigin(socket => socket.write(OK), LOCAL[1]!, port);
  open.push(() => back.close());
  while (back.heads.length === 0) await get(up, { authority: `store.example:${port}` });
  expect(back.connections).toBeGreaterThan(1);
});

test('addresses that are all out of rotation are used all the same', async () => {
  const { origins, port } = await several(LOCAL.slice(0, 1));
  await origins[0]!.close();
  const up = upstream({
    endpointOverrides: { 'store.example': LOCAL.slice(0, 1) },
    health: { ...STANDARD.health, threshold: 1 },
  });
  await expect(get(up, { authority: `store.example:${port}` })).rejects.toMatchObject({ code: 'BadGateway' });
  const back = await rawOrigin(socket => socket.write(OK), LOCAL[0]!, port);
  open.push(() => back.close());
  expect((await get(up, { authority: `store.example:${port}` })).status).toBe(200);
});

describe('the policy', () => {
  test('is held against the address that a name has, and each of them', async () => {
    const lookup = async () => ['127.0.0.1', '::1', '169.254.169.254'];
    const up = upstream({ lookup });
    await expect(get(up, { authority: 'rebind.example:80' })).rejects.toMatchObject({ code: 'AccessDenied' });
  });

  test('refuses on a wide listener what is neither S3 nor named', async () => {
    const up = upstream({ lookup: async () => ['10.255.255.1'], anyHost: false });
    await expect(get(up, { authority: 'inside.example' })).rejects.toMatchObject({ code: 'AccessDenied' });
    await expect(up.tunnel('inside.example:443')).rejects.toMatchObject({ code: 'AccessDenied' });
  });

  test('never dials an address that Cistern listens on, also through an override', async () => {
    const { origins, port } = await several(LOCAL.slice(0, 1));
    const own = [{ address: '127.0.0.1', port }];
    const up = upstream({ endpointOverrides: { 'me.example': ['127.0.0.1'] }, ownAddresses: () => own });
    await expect(get(up, { authority: `me.example:${port}` })).rejects.toMatchObject({ code: 'LoopDetected' });
    await expect(up.tunnel(`me.example:${port}`)).rejects.toMatchObject({ code: 'LoopDetected' });
    await expect(up.relayRoute(`me.example:${port}`, 'http')).rejects.toMatchObject({ code: 'LoopDetected' });
    expect(origins[0]!.connections).toBe(0);
  });

  test('notices a listener that came after the route was made', async () => {
    const { port } = await several(LOCAL.slice(0, 1));
    const own: { address: string; port: number }[] = [];
    const up = upstream({
      endpointOverrides: { 'me.example': ['127.0.0.1'] },
      ownAddresses: () => own,
      keepAlive: false,
    });
    await get(up, { authority: `me.example:${port}` });
    own.push({ address: '::', port });
    await expect(get(up, { authority: `me.example:${port}` })).rejects.toMatchObject({ code: 'LoopDetected' });
  });
});

describe('the resolver', () => {
  function resolver(lookup: (name: string) => Promise<readonly string[]>) {
    const made = new Resolver({ lookup, refreshInterval: 1_000_000 });
    open.push(() => made.close());
    return made;
  }

  test('asks once for readers that come together, and answers later ones at once', async () => {
    let asked = 0;
    const names = resolver(async () => {
      asked++;
      return ['2.2.2.2', '::2', '1.1.1.1', '2.2.2.2'];
    });
    const [a, b] = await Promise.all([names.resolve('a'), names.resolve('a')]);
    expect(a).toBe(b);
    expect(a.addresses).toEqual(['1.1.1.1', '2.2.2.2', '::2']);
    expect(names.resolve('a')).toBe(a);
    expect(asked).toBe(1);
  });

  test('keeps what it had while a refresh runs or fails, and takes what one finds', async () => {
    let answer: Promise<readonly string[]> = Promise.resolve(['1.1.1.1']);
    const names = resolver(() => answer);
    const { version } = await names.resolve('a');
    answer = Promise.reject(new Error('down'));
    await names.refresh();
    expect(names.resolve('a')).toMatchObject({ addresses: ['1.1.1.1'], version });
    let found!: (addresses: readonly string[]) => void;
    answer = new Promise(resolve => {
      found = resolve;
    });
    const refreshing = names.refresh();
    expect(names.resolve('a')).toMatchObject({ addresses: ['1.1.1.1'], version });
    found(['3.3.3.3']);
    await refreshing;
    expect(names.resolve('a')).toMatchObject({ addresses: ['3.3.3.3'] });
    expect((names.resolve('a') as { version: number }).version).not.toBe(version);
  });

  test('forgets a name that nobody asks for', async () => {
    let asked = 0;
    const names = resolver(async () => {
      asked++;
      return ['1.1.1.1'];
    });
    await names.resolve('a');
    for (let i = 0; i < 30; i++) await names.refresh();
    expect(asked).toBeLessThan(15);
  });

  test('a failure is not kept', async () => {
    let up = false;
    const names = resolver(async () => (up ? ['1.1.1.1'] : []));
    await expect(names.resolve('a')).rejects.toMatchObject({ code: 'ENODATA' });
    up = true;
    expect(await names.resolve('a')).toMatchObject({ addresses: ['1.1.1.1'] });
  });
});

describe('health', () => {
  const options = { threshold: 3, initialCooldown: 5, maxCooldown: 16 };

  test('three failures in a row exclude, a success in between does not', () => {
    const health = new Health(options);
    health.failed(0);
    health.failed(0);
    health.succeeded();
    health.failed(0);
    health.failed(0);
    expect(health.excluded).toBe(false);
    health.failed(0);
    expect(health.excluded).toBe(true);
  });

  test('one probe at a time, the wait doubling up to the limit until one succeeds', () => {
    const health = new Health(options);
    for (let i = 0; i < 3; i++) health.failed(0);
    const waits: number[] = [];
    let now = 0;
    for (let i = 0; i < 4; i++) {
      const start = now;
      while (!health.takeProbe(now)) now++;
      expect(health.takeProbe(now)).toBe(false);
      waits.push(now - start);
      health.failed(now);
    }
    expect(waits).toEqual([5, 10, 16, 16]);
    health.succeeded();
    expect(health.excluded).toBe(false);
  });

  test('failures of requests while excluded do not put the probe off', () => {
    const health = new Health(options);
    for (let i = 0; i < 50; i++) health.failed(i / 100);
    expect(health.takeProbe(5.5)).toBe(true);
  });
});
