import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startCistern } from '../clients/cistern.ts';
import { generatedBody, startOrigin, type TestOrigin } from '../origin/index.ts';
import { type Answer, Client, eventually } from '../read/helpers.ts';

/** A process that does nothing has some 30 open. */
const TAKEN = 48;
const OBJECTS = 60;
const SIZE = 256 * 1024;
const bodyOf = (i: number) => generatedBody(SIZE, i).read(0, SIZE);

interface Narrow {
  readonly origin: TestOrigin;
  readonly pid: number;
  readonly port: number;
  client(): Client;
  /** Connections that ask for nothing. */
  idle(count: number): Promise<Socket[]>;
  /** Where the log goes, too, which needs no file to be opened for it. */
  said(): string;
}

/** Node itself does not start with fewer: it loads modules side by side. */
const TO_START = 256;
const CROWD = 300;

/**
 * A process that may open few files and sockets: so many from its start on, or, where it is to be `taken`, fewer than it needs for
 * what is asked of it, of which it does not know.
 */
async function startNarrow(taken: boolean): Promise<Narrow> {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-narrow-'));
  const origin = await startOrigin();
  for (let i = 0; i < OBJECTS; i++) origin.put('data', `k${i}`, bodyOf(i));
  const settings = {
    cache: { min_free_space: '0%', ram_cache_enabled: false, get_ttl: '1h', authorization: 'shared' },
    connection_pool: { upstream_overrides: { [origin.address]: { scheme: 'http' } } },
    server: { proxy_port: 0, shutdown_grace: '1s' },
  };
  const through = ['sh', '-c', `ulimit -n ${TO_START}; exec "$0" "$@"`];
  const cistern = await startCistern(folder, settings, { through });
  const port = Number(new URL(cistern.url).port);
  if (taken) execFileSync('prlimit', [`--pid=${cistern.pid}`, `--nofile=${TAKEN}`]);
  const ends: (() => unknown)[] = [];
  onTestFinished(async () => {
    for (const end of ends) end();
    expect(await cistern.stop()).toBe(0);
    await origin.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    origin,
    pid: cistern.pid,
    port,
    client() {
      const client = new Client(origin, port);
      ends.push(() => client.close());
      return client;
    },
    async idle(count) {
      const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1').on('error', () => {}));
      ends.push(() => {
        for (const socket of sockets) socket.destroy();
      });
      await Promise.all(
        sockets.map(socket => new Promise(resolve => socket.once('connect', resolve).once('close', resolve))),
      );
      return sockets;
    },
    said: cistern.said,
  };
}

/** Right, or refused so that a client comes again, or cut; never wrong. */
function judged(answer: Answer, i: number): 'right' | 'refused' | 'cut' {
  if (answer.status === 200 && answer.complete) {
    expect(answer.body.equals(bodyOf(i)), `k${i}`).toBe(true);
    return 'right';
  }
  if (answer.status === 0 || !answer.complete) {
    expect(answer.body.equals(bodyOf(i).subarray(0, answer.body.length)) || answer.status !== 200).toBe(true);
    return 'cut';
  }
  expect([502, 503]).toContain(answer.status);
  expect(answer.body.toString()).toContain('<Code>');
  return 'refused';
}

async function readAll(client: Client, times = 1): Promise<string[]> {
  const asks = Array.from({ length: OBJECTS * times }, (_, i) => i % OBJECTS);
  return Promise.all(
    asks.map(async i => {
      const answer = await client.send({ key: `k${i}` }).catch(() => undefined);
      return answer ? judged(answer, i) : 'cut';
    }),
  );
}

async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

describe.skipIf(process.platform !== 'linux')('a process that may open few files (ulimit -n)', () => {
  it.each([
    ['from the start on', false],
    ['since it began', true],
  ])(
    '%s answers right or not at all, does not run in circles, and is as before when the clients are fewer',
    async (_, taken) => {
      const { idle, client, pid, said } = await startNarrow(taken);
      const few = client();
      for (let i = 0; i < OBJECTS; i++) expect(judged(await few.send({ key: `k${i}` }), i)).toBe('right');

      const crowd = await idle(CROWD);
      const outcomes = await readAll(client(), 3);
      expect(outcomes.filter(outcome => outcome !== 'right').length).toBeGreaterThan(0);
      // Those who wait, wait: what can't be accepted is not tried again and again.
      const before = await cpuSeconds(pid);
      await wait(1500);
      expect((await cpuSeconds(pid)) - before).toBeLessThan(0.8);
      // Where it knows its limit some are left for those who are served; where not, it lives with none.
      if (!taken) expect((await readdir(`/proc/${pid}/fd`)).length).toBeLessThan(TO_START - 24);
      expect(said()).toMatch(/too many files are open|may open \d+ files/);

      for (const socket of crowd) socket.destroy();
      const after = client();
      await eventually(async () => {
        const answer = await after.send({ key: 'k0' }).catch(() => undefined);
        return answer !== undefined && judged(answer, 0) === 'right';
      }, 10_000);
      for (let i = 0; i < OBJECTS; i++) {
        const answer = await after.send({ key: `k${i}` });
        expect([judged(answer, i), answer.status]).toEqual(['right', 200]);
      }
      await eventually(async () => (await after.send({ key: 'k5' })).header('x-cache') === 'HIT');
    },
    60_000,
  );
});
