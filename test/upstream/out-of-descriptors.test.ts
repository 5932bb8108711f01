import { describe, expect, it } from 'vitest';
import { DialError, isOutOfDescriptors, toCisternError } from '../../proxy-core/upstream/errors.ts';
import { Health } from '../../proxy-core/upstream/health.ts';

const failure = (code: string) =>
  new DialError('192.0.2.1:443', Object.assign(new Error(`connect ${code} 192.0.2.1:443`), { code }));

describe('a connection that could not be made because too many files are open', () => {
  it.each(['EMFILE', 'ENFILE'])('(%s) is no fault of the address, and the client is asked to come again', code => {
    expect(isOutOfDescriptors(failure(code))).toBe(true);
    const error = toCisternError(failure(code), 's3.eu-west-1.amazonaws.com');
    expect([error.code, error.status]).toEqual(['SlowDown', 503]);
    expect(error.message).toContain(code);
  });

  it('is not what an address that refuses is', () => {
    expect(isOutOfDescriptors(failure('ECONNREFUSED'))).toBe(false);
    expect(toCisternError(failure('ECONNREFUSED'), 'host').code).toBe('BadGateway');
  });

  it('neither ends nor hurries the search for an address that is out of rotation', () => {
    const health = new Health({ threshold: 1, initialCooldown: 100, maxCooldown: 1000 });
    health.failed(0);
    expect([health.excluded, health.takeProbe(99), health.takeProbe(100), health.takeProbe(500)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    health.undecided(500);
    expect([health.takeProbe(599), health.takeProbe(600)]).toEqual([false, true]);
    health.succeeded();
    health.undecided(700);
    expect(health.excluded).toBe(false);
  });
});
