import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Ask, type Client, comparable, eventually, filesUnder, type Place, startPlace } from '../read/helpers.ts';

const HOUR = 3_600_000;
const NEW = Buffer.from('the new content');
const NAMED = { bucket: 'data', key: 'k' };
/** As a bucket is that anybody may write forms to, which keeps its versions. */
const BUCKETS = { data: { versioned: true, anonymous: 'write' as const } };

/** Ways to change an object through the proxy, beside those in test/read/writes.test.ts. */
const WRITES: Record<string, (client: Client, here: Place) => Promise<number>> = {
  'a form': async client => {
    const form = new FormData();
    form.append('key', 'k');
    form.append('file', new Blob([NEW]), 'k.txt');
    const encoded = new Response(form);
    const body = Buffer.from(await encoded.arrayBuffer());
    const headers = ['Content-Type', encoded.headers.get('content-type')!];
    const answer = await client.send({ method: 'POST', key: '', who: null, headers, body });
    return answer.status;
  },
  'a DELETE of its newest version': async (client, { origin }) => {
    const { versionId } = origin.object('data', 'k')!;
    return (await client.send({ method: 'DELETE', query: `?versionId=${versionId}` })).status;
  },
  'a DeleteObjects of its newest version': async (client, { origin }) => {
    const { versionId } = origin.object('data', 'k')!;
    return deleteObjects(client, [`<Key>k</Key><VersionId>${versionId}</VersionId>`]);
  },
  'a DELETE whose marker is deleted, too': async (client, { origin }) => {
    await client.send({ method: 'DELETE' });
    const { versionId } = origin.object('data', 'k')!;
    return (await client.send({ method: 'DELETE', query: `?versionId=${versionId}` })).status;
  },
  'a copy of it onto itself': async client => {
    const headers = ['x-amz-copy-source', '/data/k', 'x-amz-metadata-directive', 'REPLACE', 'x-amz-meta-b', '2'];
    return (await client.send({ method: 'PUT', headers })).status;
  },
};

const READS: Ask[] = [{}, { method: 'HEAD' }, { range: 'bytes=2-5' }];

async function expectAsDirect(client: Client, here: Place, asks = READS): Promise<void> {
  for (const ask of asks) {
    const [answer, direct] = [await client.send(ask), await here.direct.send(ask)];
    expect(comparable(answer)).toEqual(comparable(direct));
  }
}

async function deleteObjects(client: Client, objects: readonly string[]): Promise<number> {
  const list = objects.map(object => `<Object>${object}</Object>`).join('');
  const body = Buffer.from(`<Delete><Quiet>true</Quiet>${list}</Delete>`);
  const headers = ['Content-MD5', createHash('md5').update(body).digest('base64')];
  return (await client.send({ method: 'POST', key: '', query: '?delete=', headers, body })).status;
}

describe.each([true, false])('where uploads are kept: %s', kept => {
  it.each(Object.entries(WRITES))('%s is seen by the next read, and by another process', async (_, write) => {
    const cache = { get_ttl: HOUR, head_ttl: HOUR, write_cache_enabled: kept };
    const here = await startPlace({ cache, origin: { buckets: BUCKETS } });
    const other = await here.another();
    for (const content of ['the first one', 'the second one, which is longer']) {
      const headers = ['Content-Type', 'text/plain'];
      await here.client.send({ method: 'PUT', body: Buffer.from(content), headers });
      await expectAsDirect(here.client, here);
    }
    await expectAsDirect(other.client, here);
    expect(await write(here.client, here)).toBeLessThan(300);
    await expectAsDirect(here.client, here);
    const from = performance.now();
    await eventually(() => performance.now() - from > 2000);
    await expectAsDirect(other.client, here);
  });
});

it('a RenameObject of a store that has it is seen under both names, and by another process', async () => {
  const here = await startPlace({ cache: { get_ttl: HOUR, head_ttl: HOUR } });
  const other = await here.another();
  const sources = (n: number) => [`old%20${n}`, `/old%20${n}`, `data/old%20${n}`, `/data/old%20${n}`];
  const names: Ask[] = [];
  for (let i = 0; i < sources(0).length; i++) {
    here.origin.put('data', `old ${i}`, `renamed ${i}`);
    here.origin.put('data', `new-${i}`, `replaced ${i}`);
    names.push({ key: `old%20${i}` }, { key: `new-${i}` });
  }
  for (const { client } of [here, other]) await expectAsDirect(client, here, names);
  for (let i = 0; i < sources(0).length; i++) {
    // The origin is as S3's general purpose buckets are, which have no such operation: the test does it in its place.
    here.origin.faults.on({ method: 'PUT', times: 1 }, { status: 200, answerAt: 'body', body: '' });
    here.origin.put('data', `new-${i}`, `renamed ${i}`);
    here.origin.remove('data', `old ${i}`);
    const headers = ['x-amz-rename-source', sources(i)[i]!];
    const answer = await here.client.send({ method: 'PUT', key: `new-${i}`, query: '?renameObject=', headers });
    expect(answer.status).toBe(200);
  }
  await expectAsDirect(here.client, here, names);
  const from = performance.now();
  await eventually(() => performance.now() - from > 2000);
  await expectAsDirect(other.client, here, names);
});

it('a RestoreObject makes the head stale, not the body', async () => {
  const here = await startPlace({ cache: { get_ttl: HOUR, head_ttl: HOUR } });
  here.origin.put('data', 'k', 'archived', { headers: ['x-amz-storage-class', 'GLACIER'] });
  const head: Ask = { method: 'HEAD' };
  await expectAsDirect(here.client, here, [head]);
  const body = Buffer.from('<RestoreRequest><Days>1</Days></RestoreRequest>');
  expect((await here.client.send({ method: 'POST', query: '?restore', body })).status).toBe(202);
  const answer = await here.get(head);
  expect(answer.header('x-amz-restore')).toBe('ongoing-request="true"');
  expect(comparable(answer)).toEqual(comparable(await here.direct.send(head)));
});

it('a DeleteObjects of 1,000 long keys is seen key by key', async () => {
  const here = await startPlace({ cache: { get_ttl: HOUR, head_ttl: HOUR } });
  const other = await here.another();
  const keys = Array.from({ length: 1000 }, (_, i) => `${String(i).padStart(4, '0')}-${'ß&/'.repeat(254)}`);
  expect(Buffer.byteLength(keys[0]!)).toBe(1021);
  for (const key of keys) here.origin.put('data', key, 'kept');
  const path = (key: string) => encodeURIComponent(key).replaceAll('%2F', '/');
  const some = [keys[0]!, keys[500]!, keys[999]!];
  for (const key of some) await here.get({ key: path(key) });
  for (const key of some) await other.client.send({ key: path(key) });
  here.origin.faults.on({ method: 'POST' }, { deleteErrors: { [keys[500]!]: 'AccessDenied' } });
  const escaped = keys.map(key => `<Key>${key.replaceAll('&', '&amp;')}</Key>`);
  expect(await deleteObjects(here.client, escaped)).toBe(200);
  const from = performance.now();
  const statuses = async (client: Client) =>
    Promise.all(some.map(async key => (await client.send({ key: path(key) })).status));
  const { requests } = await here.count(async () => {
    expect(await statuses(here.client)).toEqual([404, 200, 404]);
  }, keys[500]!);
  expect(requests).toBe(0);
  await eventually(() => performance.now() - from > 2000);
  expect(await statuses(other.client)).toEqual([404, 200, 404]);
}, 60_000);

it('what was kept of an object that is deleted goes', async () => {
  const here = await startPlace({ cache: { get_ttl: HOUR } });
  await here.client.send({ method: 'PUT', body: Buffer.alloc(300_000, 'a') });
  await here.get();
  const content = async () => (await filesUnder(`${here.cacheDir}/buckets`)).filter(name => !name.endsWith('.epoch'));
  expect((await content()).length).toBeGreaterThan(0);
  await here.client.send({ method: 'DELETE' });
  await eventually(async () => (await content()).length === 0);
  expect((await here.get(NAMED)).status).toBe(404);
});
