import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ALICE, presign } from '../origin/index.ts';
import { describeWith, requireTool } from '../tools/index.ts';
import { putFile, sampleBytes, sha256, sha256OfFile } from './files.ts';
import { BUCKET, describeWays, type Place, WAYS } from './places.ts';
import { succeed } from './run.ts';

describeWith('curl', 'curl with presigned URLs', () => {
  describeWays(WAYS, place => {
    const cached = place.way.reach !== 'directly';
    const at = (name: string) => join(place.folder, name);

    it('uploads, downloads twice, reads ranges, asks about, lists and deletes', { timeout: 60_000 }, async () => {
      const bytes = sampleBytes(3_000_001, 1);
      await putFile(at('up'), bytes);
      await curl(place, '-T', 'up', presigned(place, 'PUT', 'curl/x%20y.bin'));
      const get = (...more: readonly string[]) => curl(place, ...more, presigned(place, 'GET', 'curl/x%20y.bin'));
      // What was uploaded is there: S3 is asked for one byte, and its headers.
      expect(await place.bytes(() => get('-o', 'down-1'))).toBe(cached ? 1 : bytes.length);
      expect(await place.bodies(() => get('-o', 'down-2'))).toBe(cached ? 0 : 1);
      expect([await sha256OfFile(at('down-1')), await sha256OfFile(at('down-2'))]).toEqual([
        sha256(bytes),
        sha256(bytes),
      ]);

      for (const [range, start, end] of [
        ['100-199', 100, 200],
        ['3000000-', 3_000_000, 3_000_001],
        ['-5', 2_999_996, 3_000_001],
      ] as const) {
        expect(await place.bodies(() => get('-r', range, '-o', 'ranged'))).toBe(cached ? 0 : 1);
        expect((await readFile(at('ranged'))).equals(bytes.subarray(start, end))).toBe(true);
      }
      const head = await curl(place, '-I', presigned(place, 'HEAD', 'curl/x%20y.bin'));
      expect(head).toMatch(/^Content-Length: 3000001\r$/m);
      expect(await curl(place, presigned(place, 'GET', '', '?list-type=2&prefix=curl%2F'))).toContain(
        '<Key>curl/x y.bin</Key>',
      );
      await curl(place, '-X', 'DELETE', presigned(place, 'DELETE', 'curl/x%20y.bin'));
      expect(
        await curl(place, '-o', 'gone', '-w', '%{http_code}', '--no-fail', presigned(place, 'GET', 'curl/x%20y.bin')),
      ).toBe('404');
    });

    it("gets S3's own refusal for a URL that has expired, also of a cached object", { timeout: 60_000 }, async () => {
      place.origin.put(BUCKET, 'expiring', 'content');
      expect(await curl(place, presigned(place, 'GET', 'expiring'))).toBe('content');
      const expired = presigned(place, 'GET', 'expiring', '', Date.now() - 120_000);
      expect(
        await place.bodies(async () =>
          expect(await curl(place, '--no-fail', expired)).toContain('Request has expired'),
        ),
      ).toBe(0);
    });
  });
});

function curl(place: Place, ...args: readonly string[]): Promise<string> {
  return succeed(requireTool('curl'), ['-q', '-sS', '--fail', ...args], {
    env: place.proxyVariables,
    cwd: place.folder,
  });
}

function presigned(place: Place, method: string, key: string, query = '', at = Date.now()): string {
  const { host } = new URL(place.endpoint);
  const virtual = place.way.style === 'virtual';
  const authority = virtual ? `${BUCKET}.${host}` : host;
  const target = virtual ? `/${key}${query}` : `/${BUCKET}/${key}${query}`;
  return `http://${authority}${presign(ALICE, { method, host: authority, target, expires: 60, at })}`;
}
