import { GetObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALICE, BOB, CAROL, type Principal, startOrigin, type TestOrigin } from './index.ts';
import { refusal, sdkClient } from './sdk.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin({ buckets: { data: {}, open: { anonymous: 'read' } } });
});
afterAll(() => origin.stop());

const client = (principal: Principal) => sdkClient(origin, principal);

describe('who may do what', () => {
  it('refuses an unknown key, a wrong secret and a wrong or missing session token', async () => {
    const head = (principal: Principal) =>
      refusal(client(principal).send(new GetObjectCommand({ Bucket: 'data', Key: 'plain.txt' })));
    expect(await head({ ...ALICE, accessKeyId: 'AKIANOBODY' })).toEqual([403, 'InvalidAccessKeyId']);
    expect(await head({ ...ALICE, secretAccessKey: 'wrong' })).toEqual([403, 'SignatureDoesNotMatch']);
    expect(await head({ ...CAROL, sessionToken: 'other' })).toEqual([400, 'InvalidToken']);
    origin.put('data', 'plain.txt', 'hello');
    expect(
      await (
        await client(CAROL).send(new GetObjectCommand({ Bucket: 'data', Key: 'plain.txt' }))
      ).Body!.transformToString(),
    ).toBe('hello');
  });

  it('refuses a principal under a prefix that is denied to it, and hides what is not there from who may not list', async () => {
    origin.put('data', 'secret/a', 'x');
    origin.put('data', 'public/a', 'x');
    const bob = origin.principals.find(p => p.name === BOB.name)!;
    bob.deny = [{ resource: 'data/secret/' }, { actions: ['list'], resource: 'data' }];
    const get = (Key: string) => client(BOB).send(new GetObjectCommand({ Bucket: 'data', Key }));
    expect(await refusal(get('secret/a'))).toEqual([403, 'AccessDenied']);
    expect(await refusal(get('public/none'))).toEqual([403, 'AccessDenied']);
    expect((await get('public/a')).$metadata.httpStatusCode).toBe(200);
    expect(origin.bytesServed('secret/a')).toBe(0);
    bob.deny = [];
    expect(await refusal(get('public/none'))).toEqual([404, 'NoSuchKey']);
  });

  it('lets anyone read an open bucket and nobody write to it unsigned', async () => {
    origin.put('open', 'k', 'free');
    const url = `${origin.url}/open/k`;
    expect(await (await fetch(url)).text()).toBe('free');
    expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(403);
    expect((await fetch(`${origin.url}/data/plain.txt`)).status).toBe(403);
    expect((await fetch(`${url}?response-content-type=text/html`)).status).toBe(400);
  });
});
