import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CAROL, generatedBody, startOrigin } from '../origin/index.ts';
import { MIB, type Place, startPlace } from '../read/helpers.ts';

const BODY = generatedBody(MIB).read(0, MIB);
/** Retries, among them: what one read of a client's may cost at the origin. */
const TRIES = 3;

async function placeWith(pool: object = {}): Promise<Place> {
  const place = await startPlace({
    settings: { connection_pool: { upstream_first_byte_timeout: 300, upstream_idle_timeout: 300, ...pool } },
  });
  for (const key of ['k', 'other']) place.origin.put('data', key, BODY);
  return place;
}

describe('an address of S3 that is dead, beside one that lives', () => {
  it.each([
    ['refuses connections', async () => '127.0.0.2'],
    ['never answers a connection', blackhole],
  ])('and %s: reads come from the other', async (_, deadAt) => {
    const origin = await startOrigin();
    onTestFinished(() => origin.stop());
    const dead = await deadAt(origin.port);
    const base = `s3.cistern.test:${origin.port}`;
    const place = await startPlace({
      settings: {
        connection_pool: {
          connection_timeout: 200,
          ip_failure_threshold: 1,
          upstream_overrides: { [base]: { scheme: 'http', validate_tls: true } },
          endpoint_overrides: { '*.s3.cistern.test': [dead, '127.0.0.1'] },
        },
      },
    });
    const keys = Array.from({ length: 8 }, (_, i) => `k${i}`);
    for (const key of keys) origin.put('data', key, BODY);
    const times: number[] = [];
    for (const key of keys) {
      const began = performance.now();
      const answer = await place.get({ key, base });
      times.push(performance.now() - began);
      expect([answer.status, answer.complete, answer.body.equals(BODY)]).toEqual([200, true, true]);
    }
    // Two connection time-outs at the most: then the address is out of rotation.
    expect(Math.max(...times)).toBeLessThan(1000);
    expect(times.filter(time => time > 190).length).toBeLessThanOrEqual(2);
    expect(origin.requests).toHaveLength(keys.length);
  });
});

describe('a connection that closes before S3 answers', () => {
  it('is tried again for a read, which the client does not notice', async () => {
    const { origin, get } = await placeWith();
    origin.faults.on({ key: 'k', times: 2 }, { drop: true });
    const answer = await get();
    expect([answer.status, answer.complete, answer.body.equals(BODY)]).toEqual([200, true, true]);
    expect(origin.requestsFor('k')).toHaveLength(3);
  });

  it('every time ends in one error, after a few tries', async () => {
    const { origin, get } = await placeWith();
    origin.faults.on({ key: 'k' }, { drop: true });
    const answer = await get();
    expect([answer.status, answer.body.toString()]).toEqual([502, expect.stringContaining('<Code>BadGateway</Code>')]);
    expect(origin.requestsFor('k')).toHaveLength(TRIES);
    origin.faults.clear();
    expect((await get()).status).toBe(200);
  });

  it('is not tried again for a write', async () => {
    const { origin, client } = await placeWith();
    origin.faults.on({ key: 'new' }, { drop: true });
    const answer = await client.send({ key: 'new', method: 'PUT', body: Buffer.from('once') });
    expect(answer.status).toBe(502);
    expect(origin.requestsFor('new')).toHaveLength(1);
  });
});

describe('S3 that does not answer in time', () => {
  it('is a 504 to those who wait, and to nobody else', async () => {
    const { origin, get } = await placeWith();
    const silent = origin.faults.on({ key: 'k' }, { before: new Promise(() => {}) });
    const waiting = [get(), get(), get({ who: CAROL })];
    await silent.struck;
    expect((await get({ key: 'other' })).body.equals(BODY)).toBe(true);
    const began = performance.now();
    for (const answer of await Promise.all(waiting))
      expect([answer.status, answer.body.toString()]).toEqual([504, expect.stringContaining('UpstreamTimeout')]);
    expect(performance.now() - began).toBeLessThan(2000);
    origin.faults.clear();
    expect((await get()).body.equals(BODY)).toBe(true);
  });
});

describe('an error of S3', () => {
  it.each([500, 503])('%i is relayed as it is, once, and not kept', async status => {
    const { origin, get, direct } = await placeWith();
    origin.faults.on({ key: 'k' }, { status, headers: ['Content-Type', 'application/xml', 'Retry-After', '7'] });
    const [straight, through] = [await direct.send(), await get()];
    expect([through.status, through.header('retry-after'), through.body.toString()]).toEqual([
      status,
      '7',
      straight.body.toString(),
    ]);
    expect(origin.requestsFor('k')).toHaveLength(2);
    origin.faults.clear();
    const after = await get();
    expect([after.status, after.body.equals(BODY)]).toEqual([200, true]);
  });

  it.each([500, 503])(
    '%i to the question about a cached object is relayed, and costs nothing that is cached',
    async status => {
      const { origin, get, count } = await placeWith();
      await get();
      const bob = { headers: ['Cache-Control', 'no-cache'], unsigned: ['cache-control'] };
      origin.faults.on({ key: 'k' }, { status });
      expect((await get(bob)).status).toBe(status);
      origin.faults.clear();
      expect(await count(() => get(bob))).toMatchObject({ requests: 1, bodies: 0 });
    },
  );
});

/** A listener on the port whose queue of connections is full: the kernel drops what comes after, without a word. */
async function blackhole(port: number): Promise<string> {
  const host = '127.0.0.3';
  const listening = `require('net').createServer().listen({ port: ${port}, host: '${host}', backlog: 1 }, () => console.log('on'))`;
  const child = spawn(process.execPath, ['-e', listening], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  child.kill('SIGSTOP');
  for (;;) {
    const socket = connect(port, host);
    onTestFinished(() => void socket.destroy());
    const connected = await new Promise(resolve => {
      socket.once('connect', () => resolve(true)).setTimeout(100, () => resolve(false));
    });
    if (!connected) return host;
  }
}
