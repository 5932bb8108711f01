import { describe, expect, it } from 'vitest';
import type { CoreState } from '../../main/desktop/ipc.ts';
import { statusInWords } from '../../main/desktop/words.ts';
import { restartDelay } from '../../main/restart-delay.ts';
import { Counters } from '../../proxy-core/observe/index.ts';
import { snapshotOf } from '../admin/fixtures.ts';

const serving: CoreState = { phase: 'serving' };

describe("the tray's words", () => {
  it.each([
    [0, 0, 'nothing read yet'],
    [930, 70, '93 % from cache'],
    [1, 100_000, 'less than 1 % from cache'],
    [99_999, 1, '99 % from cache'],
    [5, 0, '100 % from cache'],
    [0, 5, '0 % from cache'],
  ])('with %i bytes from cache and %i from S3: %s', (fromCache, fromS3, words) => {
    const counters = new Counters();
    counters.bytes_from_cache = fromCache;
    counters.bytes_from_s3 = fromS3;
    const status = { core: serving, snapshot: snapshotOf(counters) };
    expect(statusInWords(status)).toBe(`Cistern: serving on 127.0.0.1:3128, ${words}`);
  });

  it('count the problems', () => {
    const withProblems = (...problems: string[]) =>
      statusInWords({ core: serving, snapshot: snapshotOf(new Counters(), problems) });
    expect(withProblems('one')).toMatch(/, 1 problem$/);
    expect(withProblems('one', 'two')).toMatch(/, 2 problems$/);
  });

  it('say why it does not serve, whatever it served before', () => {
    const core: CoreState = { phase: 'down', reason: 'The port is in use.', retry_in_ms: 500 };
    expect(statusInWords({ core, snapshot: snapshotOf() })).toBe(
      'Cistern: not serving, starting again. The port is in use.',
    );
  });
});

describe('the wait before the core is started again', () => {
  it('is short for a single end, then doubles, and is never longer than 30 s', () => {
    expect([1, 2, 3, 4, 5].map(restartDelay)).toEqual([100, 500, 1000, 2000, 4000]);
    expect(restartDelay(1000)).toBe(30_000);
  });
});
