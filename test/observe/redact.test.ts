import { describe, expect, it } from 'vitest';
import { redactText, redactUrl } from '../../proxy-core/observe/index.ts';
import { redactValue } from '../../proxy-core/observe/redact.ts';

const SECRET = 's3cr3tvalue';

describe('a URL in a log', () => {
  it.each([
    `/k?X-Amz-Signature=${SECRET}`,
    `/k?a=1&X-Amz-Credential=${SECRET}%2F20260101%2Fus-east-1&b=2`,
    `/k?x-amz-security-token=${SECRET}%2Bmore%3D%3D`,
    `/k?X-AMZ-SIGNATURE=${SECRET}`,
    `/k?X%2DAmz%2dSignature=${SECRET}`,
    `/k?%58-Amz-%53ignature=${SECRET}`,
    `/k?X-Amz-Signature=${SECRET}?x"${SECRET} ${SECRET}`,
    `/k?AWSAccessKeyId=AKIA&Signature=${SECRET}&Expires=1`,
    `/k?AWSAccessKeyId=${SECRET}`,
    `https://b.s3.amazonaws.com/k?X-Amz-Signature=${SECRET}`,
    `/k?X-Amz-Signature=${SECRET}&X-Amz-Signature=${SECRET}`,
    `/k?url=https%3A%2F%2Fh%2Fk%3FX-Amz-Signature%3D${SECRET}%26x=1`,
  ])('shows no secret of %s', url => {
    const shown = redactUrl(url);
    expect(shown).not.toContain(SECRET);
    expect(shown).toContain('REDACTED');
  });

  it('keeps names, other parameters and their spelling', () => {
    expect(
      redactUrl('/a%20b+c?X-Amz-Date=20260101T000000Z&x-id=GetObject&X-Amz-Signature=abc&X-Amz-Expires=60&flag'),
    ).toBe('/a%20b+c?X-Amz-Date=20260101T000000Z&x-id=GetObject&X-Amz-Signature=REDACTED&X-Amz-Expires=60&flag');
  });

  it.each(['/', '/a?', '/a?b', '/a?b=&c', '/a?%zz=1', '/Signature=x', '/a?%E4=1&+=2'])('leaves %s alone', url => {
    expect(redactUrl(url)).toBe(url);
  });
});

describe('free text in a log', () => {
  it.each([
    `Authorization: AWS4-HMAC-SHA256 Credential=${SECRET}/20260101/x, SignedHeaders=host, Signature=${SECRET}`,
    `authorization=Bearer ${SECRET}`,
    `{"Authorization":"AWS AKIA:${SECRET}"}`,
    `headers: x-amz-security-token: ${SECRET}`,
    `reason: x-amz-signature=${SECRET}`,
    `AWS4-HMAC-SHA256 Credential=${SECRET}, SignedHeaders=host;x-amz-date, Signature=${SECRET}`,
    `GET /k?X-Amz-Credential=${SECRET}&X%2DAmz-Signature=${SECRET} failed`,
    `Proxy-Authorization: Basic ${SECRET}`,
    `{'Signature': '${SECRET}'}`,
    `x-amz-server-side-encryption-customer-key: ${SECRET}`,
  ])('shows no secret of %s', text => {
    expect(redactText(text)).not.toContain(SECRET);
    expect(redactText(redactText(text))).toBe(redactText(text));
  });

  it.each([
    'cache.authorization: caller is in force',
    'GET https://bucket.s3.eu-west-1.amazonaws.com/k?list-type=2 took 3 ms: ok',
    'signature expired; credentials missing',
  ])('leaves "%s" alone', text => {
    expect(redactText(text)).toBe(text);
  });

  it('goes through a hostile line in linear time', () => {
    for (const piece of ['a', ' ', '=', 'signature', 'authorization ', '%3d', 'Signature%', '"']) {
      const started = performance.now();
      redactText(piece.repeat(200_000 / piece.length));
      expect(performance.now() - started).toBeLessThan(2_000);
    }
  });
});

describe('a value in a log', () => {
  it('is masked by the names around it, in objects, maps and raw header lists', () => {
    const shown = JSON.stringify(
      redactValue({
        authorization: SECRET,
        deep: { list: ['Host', 'h', 'X-Amz-Security-Token', SECRET] },
        map: new Map([['Signature', SECRET]]),
        url: new URL(`https://h/k?X-Amz-Signature=${SECRET}`),
        error: new Error(`GET /?X-Amz-Signature=${SECRET}`, { cause: new Error(`Authorization: ${SECRET}`) }),
      }),
    );
    expect(shown).not.toContain(SECRET);
    expect(shown).toContain('"Host","h"');
  });

  it('survives what JSON does not: cycles, big integers, bytes', () => {
    const cycle: Record<string, unknown> = { big: 1n, bytes: Buffer.from('abc'), when: new Date(0), set: new Set([1]) };
    cycle.self = cycle;
    expect(JSON.parse(JSON.stringify(redactValue(cycle)))).toMatchObject({
      big: '1',
      bytes: '<3 bytes>',
      when: '1970-01-01T00:00:00.000Z',
      set: [1],
    });
  });
});
