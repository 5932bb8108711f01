import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ALICE, CAROL } from '../origin/index.ts';
import { MIB, startPlace } from '../read/helpers.ts';
import { filesIn, noise, until } from './helpers.ts';

it('no file under the cache holds a key id, secret, token or signature of those who read and wrote', async () => {
  const place = await startPlace({ cache: { ram_cache_enabled: false } });
  const { origin, cacheDir } = place;
  origin.put('data', 'small', Buffer.from('a small object'));
  origin.put('data', 'large', noise(3 * MIB));
  origin.put('data', 'parts', noise(9 * MIB), { partSize: 5 * MIB });
  for (const key of ['small', 'large', 'parts']) {
    for (const who of [ALICE, CAROL]) {
      for (const expires of [undefined, 300]) {
        const ask = { key, who, ...(expires === undefined ? {} : { expires }) };
        expect((await place.get(ask)).status).toBe(200);
        expect((await place.get({ ...ask, range: 'bytes=5-9' })).status).toBe(206);
      }
    }
  }
  expect((await place.get({ key: 'parts', who: CAROL, query: '?partNumber=2' })).status).toBe(206);
  expect((await place.get({ key: 'small', who: CAROL, method: 'PUT', body: Buffer.from('new') })).status).toBe(200);
  expect((await place.get({ key: 'small', who: CAROL })).body.toString()).toBe('new');
  const names = () => filesIn(cacheDir).join('\n');
  await until(
    () => /\.head\b/.test(names()) && /\.epoch\b/.test(names()) && /part-2/.test(names()) && /0-\d+\b/.test(names()),
  );

  const secrets = [ALICE, CAROL].flatMap(({ accessKeyId, secretAccessKey, sessionToken }) => [
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? [] : [sessionToken, encodeURIComponent(sessionToken)]),
  ]);
  const signatures = origin.requests.map(
    ({ path, headers }) => /Signature=([0-9a-f]{64})/.exec(headers.authorization ?? path)?.[1],
  );
  expect(signatures).not.toContain(undefined);
  const words = [
    ...secrets,
    ...(signatures as string[]),
    'X-Amz-Signature',
    'X-Amz-Credential',
    'X-Amz-Security-Token',
    'AWS4-HMAC',
    'Authorization',
  ];
  for (const path of filesIn(cacheDir)) {
    const text = `${path}\n${readFileSync(path, 'latin1')}`.toLowerCase();
    for (const word of words) expect(text.includes(word.toLowerCase()), `${word} in ${path}`).toBe(false);
    expect(path.slice(cacheDir.length)).not.toMatch(/small|large|parts/);
  }
});
