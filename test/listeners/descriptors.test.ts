import { describe, expect, it, onTestFinished } from 'vitest';
import { shareDescriptors } from '../../proxy-core/listeners/descriptors.ts';
import { RawClient, startProxy } from './helpers.ts';

describe('the files and sockets of a process', () => {
  it('are enough for what is set where the system allows many', () => {
    for (const limit of [undefined, 65_536, 1_048_576])
      expect(shareDescriptors(limit, 10_000)).toMatchObject({ clients: 10_000, extents: 256 });
  });

  it('are shared out so that all together fit, from where there are enough for the process itself', () => {
    for (const limit of [128, 256, 1024, 4096, 20_000]) {
      const { clients, surplus, extents } = shareDescriptors(limit, 1_000_000);
      expect(2 * clients + surplus + extents).toBeLessThan(limit);
      expect(clients).toBeGreaterThan(limit / 8);
      expect(extents).toBeGreaterThanOrEqual(Math.min(256, limit / 17));
    }
  });

  it('leave a few clients, whatever the limit', () => {
    expect(shareDescriptors(16, 10_000)).toMatchObject({ clients: 8, surplus: 8, extents: 8 });
    expect(shareDescriptors(1_000_000, 3).clients).toBe(3);
  });

  it('are, where they were not enough, told with the number there is', () => {
    expect(shareDescriptors(256, 10_000).advice).toMatch(/may open 256 files.*ulimit -n/);
  });
});

describe('a connection that the system can’t hand over', () => {
  it('is told of, and does not end the proxy', async () => {
    const crowded: unknown[] = [];
    const { proxy, port, close } = await startProxy({ proxy: { onCrowded: error => crowded.push(error) } });
    onTestFinished(close);
    const error = Object.assign(new Error('accept ENFILE'), { code: 'ENFILE' });
    proxy.server.emit('error', error);
    expect(crowded).toEqual([error]);
    const client = new RawClient(port, false);
    client.socket.write('no request\r\n\r\n');
    await new Promise(resolve => client.socket.once('close', resolve));
    expect(client.text).toMatch(/^HTTP\/1.1 400 /);
  });
});
