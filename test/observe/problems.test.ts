import { describe, expect, it } from 'vitest';
import { Problems } from '../../proxy-core/observe/index.ts';

function make() {
  const logged: string[] = [];
  const clock = { now: 0 };
  const log = { info: (text: string) => logged.push(text), warn: (text: string) => logged.push(text) };
  return { problems: new Problems(log as never, () => clock.now), logged, clock };
}

describe('problems', () => {
  it('a state is shown until it is cleared, and logged once', () => {
    const { problems, logged, clock } = make();
    problems.state('volume', 'the volume hangs');
    problems.state('volume', 'the volume hangs');
    clock.now = 1e9;
    expect(problems.list()).toEqual(['the volume hangs']);
    problems.state('volume', undefined);
    problems.state('volume', undefined);
    expect(problems.list()).toEqual([]);
    expect(logged).toEqual(['the volume hangs', 'volume: all right again']);
  });

  it('an event is shown for five minutes after the last time', () => {
    const { problems, logged, clock } = make();
    problems.event('fill', 'given up');
    clock.now = 200_000;
    problems.event('fill', 'given up');
    clock.now = 499_999;
    expect(problems.list()).toEqual(['given up']);
    clock.now = 500_000;
    expect(problems.list()).toEqual([]);
    expect(logged).toEqual(['given up']);
  });
});
