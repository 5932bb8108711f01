import { createHash, createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALICE, startOrigin, type TestOrigin } from './index.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin({ buckets: { data: {}, open: { anonymous: 'write' } } });
});
afterAll(() => origin.stop());

/** The fields that sign a policy, by the recipe of "Authenticating Requests: Browser-Based Uploads Using POST". */
function signed(conditions: unknown[], lifetime = 60_000): Record<string, string> {
  const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  const scope = [day, 'us-east-1', 's3', 'aws4_request'];
  const expiration = new Date(Date.now() + lifetime).toISOString();
  const credential = [ALICE.accessKeyId, ...scope].join('/');
  const own = [{ 'x-amz-credential': credential }, { 'x-amz-algorithm': 'AWS4-HMAC-SHA256' }];
  const all = [...conditions, ...own];
  const policy = Buffer.from(JSON.stringify({ expiration, conditions: all })).toString('base64');
  let key: string | Buffer = `AWS4${ALICE.secretAccessKey}`;
  for (const step of scope) key = createHmac('sha256', key).update(step).digest();
  const signature = createHmac('sha256', key).update(policy).digest('hex');
  return {
    policy,
    'x-amz-credential': credential,
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-signature': signature,
  };
}

function post(bucket: string, fields: Record<string, string>, content = 'from a form'): Promise<Response> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', new Blob([content]), 'my file.txt');
  return fetch(`${origin.url}/${bucket}`, { method: 'POST', body: form, redirect: 'manual' });
}

describe('a form upload', () => {
  it('is stored under its key with the file name filled in', async () => {
    const answer = await post('data', {
      key: `up/$\{filename}`,
      'Content-Type': 'text/x-form',
      ...signed([{ bucket: 'data' }, ['starts-with', '$key', 'up/'], ['starts-with', '$Content-Type', 'text/']]),
    });
    expect(answer.status).toBe(204);
    expect(answer.headers.get('location')).toContain('/data/up/my%20file.txt');
    const stored = origin.object('data', 'up/my file.txt')!;
    expect(stored.body.read(0, stored.body.length).toString()).toBe('from a form');
    expect(stored.headers).toContain('text/x-form');
  });

  it('is refused against its policy, after it, with a wrong signature, and without one', async () => {
    const key = 'k';
    const named = ['eq', '$key', key];
    const refusal = async (fields: Record<string, string>) => {
      const answer = await post('data', { key, ...fields });
      return [answer.status, /<Code>(\w+)/.exec(await answer.text())![1]];
    };
    expect(await refusal(signed([['starts-with', '$key', 'up/']]))).toEqual([403, 'AccessDenied']);
    expect(await refusal(signed([named, ['content-length-range', 0, 5]]))).toEqual([400, 'EntityTooLarge']);
    expect(await refusal(signed([named], -1000))).toEqual([403, 'AccessDenied']);
    expect(await refusal({ ...signed([named]), 'x-amz-meta-a': 'not in the policy' })).toEqual([403, 'AccessDenied']);
    const forged = { ...signed([named]), 'x-amz-signature': '0'.repeat(64) };
    expect(await refusal(forged)).toEqual([403, 'SignatureDoesNotMatch']);
    expect(await refusal({})).toEqual([403, 'AccessDenied']);
    expect(origin.object('data', key)).toBeUndefined();
  });

  it('answers as it is asked to: 200, 201 with XML, or a redirect', async () => {
    expect((await post('open', { key: 'c', success_action_status: '200' })).status).toBe(200);
    const created = await post('open', { key: 'a', success_action_status: '201' });
    expect([created.status, await created.text()]).toEqual([201, expect.stringContaining('<Key>a</Key>')]);
    const redirected = await post('open', { key: 'b', success_action_redirect: 'http://example.test/done?x=1' });
    expect([redirected.status, redirected.headers.get('location')]).toEqual([
      303,
      expect.stringContaining('http://example.test/done?x=1&bucket=open&key=b'),
    ]);
  });

  it('keeps headers, metadata, tags and a checksum that come as fields', async () => {
    const answer = await post('open', {
      key: 'kept',
      'Cache-Control': 'max-age=60',
      'x-amz-meta-who': 'me',
      'x-amz-checksum-sha256': createHash('sha256').update('from a form').digest('base64'),
      tagging: '<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>',
    });
    expect(answer.status).toBe(204);
    const stored = origin.object('open', 'kept')!;
    expect(stored).toMatchObject({ tags: [['a', '1']], checksums: [{ algorithm: 'sha256' }] });
    expect(stored.headers).toEqual(expect.arrayContaining(['Cache-Control', 'max-age=60', 'x-amz-meta-who', 'me']));
    const wrong = await post('open', { key: 'wrong', 'x-amz-checksum-crc32': 'AAAAAA==' });
    expect([wrong.status, await wrong.text()]).toEqual([400, expect.stringContaining('BadDigest')]);
    expect(origin.object('open', 'wrong')).toBeUndefined();
  });
});
