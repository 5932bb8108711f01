import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ALICE, chunkedUpload, digest, presign, signHeaders } from '../origin/index.ts';
import { describeWith, requireTool } from '../tools/index.ts';
import { putFile, sampleBytes } from './files.ts';
import { BUCKET, type Place } from './places.ts';
import { succeed } from './run.ts';
import { describeWrites } from './written.ts';

const MINUTES = 120_000;

describeWith('curl', 'uploads by curl', () => {
  describeWrites(place => {
    const up = (bytes: Buffer) => putFile(join(place.folder, 'up'), bytes);

    it('are kept from a presigned URL, with and without a type, and of no bytes', { timeout: MINUTES }, async () => {
      await up(sampleBytes(300_001, 1));
      const about = ['-H', 'Content-Type: text/csv', '-H', 'Cache-Control: max-age=7', '-H', 'Content-Language: de'];
      await curl(place, ...about, '-T', 'up', presigned(place, 'PUT', 'a ü/typed'));
      await place.expectAsDirectly('a ü/typed', { first: 'range' });
      await curl(place, '-T', 'up', presigned(place, 'PUT', 'untyped'));
      await place.expectAsDirectly('untyped', { first: 'unsigned range' });
      await up(Buffer.alloc(0));
      await curl(place, '-T', 'up', presigned(place, 'PUT', 'nothing'));
      await place.expectAsDirectly('nothing');
    });

    it('wait for 100 Continue, overwrite what both processes had, and are gone when deleted', {
      timeout: MINUTES,
    }, async () => {
      for (const seed of [2, 3]) {
        await up(sampleBytes(3_000_001, seed));
        const metadata = ['x-amz-meta-seed', String(seed), 'x-amz-meta-name', 'a, b;  c', 'Content-Type', 'text/plain'];
        const headers = [...metadata, 'Expect', '100-continue'];
        const { url, flags } = signed(place, 'PUT', 'waited', { headers, payloadHash: 'UNSIGNED-PAYLOAD' });
        expect(await curl(place, '-i', ...flags, '-T', 'up', url)).toMatch(/^HTTP\/1.1 100 Continue\r\n/);
        await place.expectAsDirectly('waited', { first: seed === 2 ? 'checksums' : 'GET' });
      }
      await curl(place, '-X', 'DELETE', presigned(place, 'DELETE', 'waited'));
      await place.expectGone('waited');
    });

    it('in chunks are kept where S3 takes them, and leave the object as it was where it does not', {
      timeout: MINUTES,
    }, async () => {
      const content = sampleBytes(200_000, 4);
      const trailer = ['x-amz-checksum-crc32', digest('crc32', [content]).toString('base64')] as const;
      for (const form of ['unsigned-trailer', 'signed-trailer'] as const) {
        const { authority, target, url } = addressOf(place, form);
        const { headers, body } = chunkedUpload(
          ALICE,
          { method: 'PUT', host: authority, target, headers: ['Content-Type', 'image/png'] },
          { content, form, trailer, transferChunked: true },
        );
        await up(body);
        await fromPipe(place, ...flagsOf(headers), '-T', '-', url);
        await place.expectAsDirectly(form, { first: 'checksums' });
      }
      const plain = presigned(place, 'PUT', 'signed-trailer');
      expect(await fromPipe(place, '--no-fail', '-o', 'refused', '-w', '%{http_code}', '-T', '-', plain)).toBe('501');
      await place.expectAsDirectly('signed-trailer');
    });
  });
});

function curl(place: Place, ...args: readonly string[]): Promise<string> {
  return succeed(requireTool('curl'), ['-q', '-sS', '--fail', ...args], {
    env: place.proxyVariables,
    cwd: place.folder,
  });
}

/** With the file `up` as its standard input, of which curl can't know the length. */
function fromPipe(place: Place, ...args: readonly string[]): Promise<string> {
  const script = ['-c', 'cat up | "$0" "$@"', requireTool('curl'), '-q', '-sS', '--fail', ...args];
  return succeed('/bin/sh', script, { env: place.proxyVariables, cwd: place.folder });
}

function addressOf({ way, endpoint }: Place, key: string) {
  const { host } = new URL(endpoint);
  const virtual = way.style === 'virtual';
  const authority = virtual ? `${BUCKET}.${host}` : host;
  const target = `${virtual ? '' : `/${BUCKET}`}/${key.split('/').map(encodeURIComponent).join('/')}`;
  return { authority, target, url: `http://${authority}${target}` };
}

function presigned(place: Place, method: string, key: string): string {
  const { authority, target } = addressOf(place, key);
  return `http://${authority}${presign(ALICE, { method, host: authority, target, expires: 60 })}`;
}

function signed(
  place: Place,
  method: string,
  key: string,
  about: { readonly headers: readonly string[]; readonly payloadHash: string },
) {
  const { authority, target, url } = addressOf(place, key);
  return { url, flags: flagsOf(signHeaders(ALICE, { method, host: authority, target, ...about })) };
}

function flagsOf(headers: readonly string[]): string[] {
  return headers.flatMap((name, i) => (i % 2 === 0 ? ['-H', `${name}: ${headers[i + 1]}`] : []));
}
