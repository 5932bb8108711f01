import { createHmac } from 'node:crypto';
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
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64');
  let key: string | Buffer = `AWS4${ALICE.secretAccessKey}`;
  for (const step of scope) key = createHmac('sha256', key).update(step).digest();
  const signature = createHmac('sha256', key).update(policy).digest('hex');
  return {
    policy,
    'x-amz-credential': [ALICE.accessKeyId, ...scope].join('/'),
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
      ...signed([{ bucket: 'data' }, ['starts-with', '$key', 'up/']]),
    });
    expect(answer.status).toBe(204);
    expect(answer.headers.get('location')).toContain('/data/up/my%20file.txt');
    const stored = origin.object('data', 'up/my file.txt')!;
    expect(stored.body.read(0, stored.body.length).toString()).toBe('from a form');
    expect(stored.headers).toContain('text/x-form');
  });

  it('is refused against its policy, after it, with a wrong signature, and without one', async () => {
    const key = 'k';
    expect((await post('data', { key, ...signed([['starts-with', '$key', 'up/']]) })).status).toBe(403);
    expect((await post('data', { key, ...signed([['content-length-range', 0, 5]]) })).status).toBe(403);
    expect((await post('data', { key, ...signed([], -1000) })).status).toBe(403);
    expect((await post('data', { key, ...signed([]), 'x-amz-signature': '0'.repeat(64) })).status).toBe(403);
    expect((await post('data', { key })).status).toBe(403);
    expect(origin.object('data', key)).toBeUndefined();
  });

  it('answers as it is asked to: 201 with XML, or a redirect', async () => {
    const created = await post('open', { key: 'a', success_action_status: '201' });
    expect([created.status, await created.text()]).toEqual([201, expect.stringContaining('<Key>a</Key>')]);
    const redirected = await post('open', { key: 'b', success_action_redirect: 'http://example.test/done?x=1' });
    expect([redirected.status, redirected.headers.get('location')]).toEqual([
      303,
      expect.stringContaining('http://example.test/done?x=1&bucket=open&key=b'),
    ]);
  });
});
