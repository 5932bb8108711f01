import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  ask,
  askMany,
  type ControlRoutes,
  controlRoutes,
  forwardedRoutes,
  startControlServer,
} from '../../proxy-core/admin/index.ts';
import { CisternError } from '../../proxy-core/errors.ts';
import { snapshotOf } from './fixtures.ts';

const status = async () => snapshotOf();

async function serve(routes: ControlRoutes): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-forward-'));
  const server = await startControlServer([folder], routes);
  onTestFinished(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });
  return server.file;
}

/** One that answers for a worker with these routes. */
async function serveBefore(worker: ControlRoutes, others: readonly string[] = []): Promise<string> {
  const address = await serve(worker);
  return serve(forwardedRoutes({ status, chosen: async () => address, others: async () => others }));
}

async function linesOf(address: string, method: string, target: string): Promise<object[]> {
  const lines: object[] = [];
  for await (const line of askMany(address, method, target)) lines.push(line);
  return lines;
}

describe('several processes', () => {
  it('answer all that one answers', () => {
    const forwarded = forwardedRoutes({ status, chosen: async () => '', others: async () => [] });
    const own = controlRoutes({ care: {} as never, status: snapshotOf });
    expect(Object.keys(forwarded).sort()).toEqual(Object.keys(own).sort());
  });

  it('have one of them work on the folder: what was asked goes there whole, its lines come back as they are', async () => {
    const address = await serveBefore({
      'POST /v1/verify': async function* (query) {
        yield { type: 'progress', asked: query.get('from_start') };
        yield { type: 'end', name: 'ü' };
      },
      'GET /v1/pins': query => ({ asked: query.toString() }),
    });
    expect(await linesOf(address, 'POST', '/v1/verify?from_start=true')).toEqual([
      { type: 'progress', asked: 'true' },
      { type: 'end', name: 'ü' },
    ]);
    expect(await ask(address, 'GET', '/v1/pins?a=1')).toEqual({ asked: 'a=1' });
  });

  it.each(['at once', 'in the middle'])('pass on what it refuses %s, in its own words', async when => {
    const refusal = () => new CisternError('VerifyRunning', 'Since noon.');
    const address = await serveBefore({
      'POST /v1/verify': async function* () {
        if (when === 'in the middle') yield { type: 'progress' };
        throw refusal();
      },
      'GET /v1/pins': () => {
        throw refusal();
      },
    });
    const told = expect.objectContaining({ code: 'VerifyRunning', told: refusal().message });
    await expect(linesOf(address, 'POST', '/v1/verify')).rejects.toEqual(told);
    await expect(ask(address, 'GET', '/v1/pins')).rejects.toEqual(told);
  });

  it('have all forgotten what one has removed, before whoever asked hears of the end', async () => {
    const forgotten: string[] = [];
    const other = await serve({
      'POST /v1/forget': query => {
        forgotten.push(query.toString());
        return {};
      },
    });
    const gone = join(tmpdir(), 'cistern-nobody.sock');
    const address = await serveBefore(
      {
        'POST /v1/purge': async function* () {
          yield { type: 'progress' };
          yield { type: 'end' };
        },
      },
      [other, gone],
    );
    const target = 'bucket=data&prefix=a%2Fb';
    for await (const { type } of askMany(address, 'POST', `/v1/purge?${target}&dry_run=false`))
      expect(forgotten).toEqual(type === 'end' ? [`${target}&dry_run=false`] : []);
    await linesOf(address, 'POST', `/v1/purge?${target}&dry_run=true`);
    expect(forgotten).toHaveLength(1);
  });

  it('end what one of them does when whoever asked goes away', async () => {
    let ended = false;
    const address = await serveBefore({
      'GET /v1/objects': async function* (_, signal) {
        signal.addEventListener('abort', () => {
          ended = true;
        });
        for (let i = 0; !signal.aborted; i++) {
          yield { type: 'object', i };
          await new Promise(resolve => setTimeout(resolve, 5));
        }
      },
    });
    for await (const _ of askMany(address, 'GET', '/v1/objects')) break;
    await expect.poll(() => ended).toBe(true);
  });
});
