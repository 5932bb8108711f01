import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Allowances, callerOf, isFresh } from '../../proxy-core/freshness/index.ts';
import type { SignatureFacts } from '../../proxy-core/request/index.ts';
import { ObjectEntry } from '../../proxy-core/store/entry.ts';
import { address } from '../store/helpers.ts';

const NOW = 1_700_000_000_000;
const E1 = '1'.repeat(32);
const E2 = '2'.repeat(32);

describe('a head is fresh', () => {
  const at = (age: number, headEpoch = E1, epoch = E1) => ({ validatedAt: NOW - age, headEpoch, epoch });

  it.each([
    ['validated now', at(0), 1000, true],
    ['validated a ttl ago', at(1000), 1000, true],
    ['validated a moment more than a ttl ago', at(1001), 1000, false],
    ['validated in the future', at(-1), 1000, false],
    ['validated far in the future', at(-1e9), 1000, false],
    ['at ttl 0', at(0), 0, false],
    ['at a negative ttl', at(0), -1, false],
    ['of an older epoch', at(0, E1, E2), 1000, false],
    ['of before the first write', at(0, '', E1), 1000, false],
    ['of an epoch that is gone', at(0, E1, ''), 1000, false],
    ['never written through Cistern', at(0, '', ''), 1000, true],
    ['distrusted', at(0, '!', ''), 1000, false],
    [
      'with a stamp that could not be read',
      { validatedAt: 0, headEpoch: '!', epoch: '' },
      Number.MAX_SAFE_INTEGER,
      false,
    ],
  ])('%s: %o within %i ms is %s', (_, entry, ttl, expected) => {
    expect(isFresh(entry, ttl, NOW)).toBe(expected);
  });

  it('exactly when its epoch is current and its age is between 0 and a ttl above 0', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -50, max: 50 }),
        fc.integer({ min: -5, max: 50 }),
        fc.boolean(),
        (age, ttl, current) => {
          expect(isFresh(at(age, E1, current ? E1 : E2), ttl, NOW)).toBe(current && ttl > 0 && age >= 0 && age <= ttl);
        },
      ),
    );
  });
});

describe('an allowance', () => {
  const create = (epoch = E1) => {
    const entry = new ObjectEntry('/cache', address('key'));
    entry.ownEpoch = epoch;
    return { entry, allowances: new Allowances() };
  };

  it('by a GET is for GET and HEAD, by a HEAD for HEAD only', () => {
    const { entry, allowances } = create();
    allowances.grant(entry, 'alice', 'HEAD', E1, NOW);
    allowances.grant(entry, 'bob', 'GET', E1, NOW);
    const may = (caller: string) =>
      (['GET', 'HEAD'] as const).map(method => allowances.allows(entry, caller, method, 1000, NOW));
    expect([may('alice'), may('bob'), may('carol')]).toEqual([
      [false, true],
      [true, true],
      [false, false],
    ]);
  });

  it('is as old as the newest answer, whatever order the answers come in', () => {
    const { entry, allowances } = create();
    for (const at of [NOW - 500, NOW - 100, NOW - 900]) allowances.grant(entry, 'alice', 'GET', E1, at);
    expect(allowances.allows(entry, 'alice', 'GET', 100, NOW)).toBe(true);
    expect(allowances.allows(entry, 'alice', 'GET', 99, NOW)).toBe(false);
    allowances.grant(entry, 'alice', 'HEAD', E1, NOW);
    expect(allowances.allows(entry, 'alice', 'HEAD', 0, NOW)).toBe(true);
    expect(allowances.allows(entry, 'alice', 'GET', 99, NOW)).toBe(false);
  });

  it('from the future counts for nothing', () => {
    const { entry, allowances } = create();
    allowances.grant(entry, 'alice', 'GET', E1, NOW + 1);
    expect(allowances.allows(entry, 'alice', 'GET', 1000, NOW)).toBe(false);
  });

  it('ends with the object’s epoch', () => {
    const { entry, allowances } = create();
    allowances.grant(entry, 'alice', 'GET', E1, NOW);
    entry.ownEpoch = E2;
    expect(allowances.allows(entry, 'alice', 'GET', 1000, NOW)).toBe(false);
    allowances.grant(entry, 'alice', 'HEAD', E2, NOW);
    expect(allowances.allows(entry, 'alice', 'GET', 1000, NOW)).toBe(false);
    expect(allowances.allows(entry, 'alice', 'HEAD', 1000, NOW)).toBe(true);
  });

  it('is for one object', () => {
    const { entry, allowances } = create();
    allowances.grant(entry, 'alice', 'GET', E1, NOW);
    expect(allowances.allows(create().entry, 'alice', 'GET', 1000, NOW)).toBe(false);
  });

  it('is over when S3 refuses the caller', () => {
    const { entry, allowances } = create();
    allowances.grant(entry, 'alice', 'GET', E1, NOW);
    allowances.grant(entry, 'bob', 'GET', E1, NOW);
    allowances.revoke(entry, 'alice', NOW);
    allowances.revoke(entry, 'nobody', NOW);
    expect(allowances.allows(entry, 'alice', 'GET', 1000, NOW)).toBe(false);
    expect(allowances.allows(entry, 'bob', 'GET', 1000, NOW)).toBe(true);
  });

  it('is not brought back by an answer to what was asked before the refusal', () => {
    const { entry, allowances } = create();
    allowances.revoke(entry, 'alice', NOW);
    allowances.grant(entry, 'alice', 'GET', E1, NOW - 5);
    expect(allowances.allows(entry, 'alice', 'GET', 1000, NOW + 1)).toBe(false);
    allowances.revoke(entry, 'alice', NOW - 9);
    allowances.grant(entry, 'alice', 'GET', E1, NOW - 5);
    expect(allowances.allows(entry, 'alice', 'GET', 1000, NOW + 1)).toBe(false);
    allowances.grant(entry, 'alice', 'GET', E1, NOW + 1);
    expect(allowances.allows(entry, 'alice', 'GET', 1000, NOW + 1)).toBe(true);
  });

  it('is remembered for 256 callers of an object; the one that came first is asked about again', () => {
    const { entry, allowances } = create();
    const callers = Array.from({ length: 257 }, (_, i) => `caller-${i}`);
    for (const caller of callers) allowances.grant(entry, caller, 'GET', E1, NOW);
    expect(callers.filter(caller => allowances.allows(entry, caller, 'GET', 1000, NOW))).toEqual(callers.slice(1));
    allowances.grant(entry, 'caller-256', 'GET', E1, NOW);
    expect(allowances.allows(entry, 'caller-1', 'GET', 1000, NOW)).toBe(true);
  });
});

describe('a caller', () => {
  const signed = (facts: Partial<SignatureFacts>): SignatureFacts => ({
    scheme: 'sigv4',
    presigned: false,
    accessKeyId: 'AKIAEXAMPLE',
    sessionToken: undefined,
    signedHeaders: new Set(),
    expiresAt: undefined,
    ...facts,
  });

  it('is who signed: access key id, session token and scheme', () => {
    const callers = [
      signed({}),
      signed({ accessKeyId: 'AKIAOTHER' }),
      signed({ sessionToken: 'token' }),
      signed({ sessionToken: 'other' }),
      signed({ scheme: 'sigv4a' }),
      signed({ scheme: 'other', accessKeyId: 'Bearer', sessionToken: 'x' }),
      signed({ accessKeyId: 'AKIAEXAMPLE\0token' }),
    ].map(callerOf);
    expect(new Set(callers).size).toBe(callers.length);
  });

  it('is the same by header and by presigned URL, whatever else was signed', () => {
    expect(callerOf(signed({ presigned: true, expiresAt: 5, signedHeaders: 'all' }))).toBe(callerOf(signed({})));
  });

  it('without a signature is anonymous', () => {
    expect(callerOf(signed({ scheme: 'anonymous', accessKeyId: undefined }))).toBe('anonymous');
  });

  it('can’t be read from what is kept of it', () => {
    const caller = callerOf(signed({ sessionToken: 'secret-token' }));
    expect(caller).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    expect(Buffer.from(caller, 'base64').includes('AKIA')).toBe(false);
  });

  it('keeps no memory, whoever signs', async () => {
    const sign = async (count: number) => {
      for (let i = 0; i < count; i++) callerOf(signed({ sessionToken: `token ${i}` }));
      await new Promise(resolve => setImmediate(resolve));
    };
    await sign(1_000);
    const before = process.memoryUsage().rss;
    for (let turn = 0; turn < 50; turn++) await sign(1_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(50 << 20);
  });
});
