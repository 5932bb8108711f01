import { describe, expect, it } from 'vitest';
import {
  addTotals,
  type CacheFacts,
  type Figures,
  figuresTogether,
  NO_TOTALS,
  pastOf,
} from '../../proxy-core/admin/index.ts';
import { Counters, Latency } from '../../proxy-core/observe/index.ts';

/** What a process tells that has had one hit of so many bytes, and is answering another request. */
function figuresOf(bytes: number, cache: Partial<CacheFacts> = {}, problems: readonly string[] = []): Figures {
  const counters = new Counters();
  counters.requests = 1;
  counters.hits = 1;
  counters.bytes_from_cache = bytes;
  counters.active_requests = 1;
  counters.active_connections = 2;
  counters.bypass('not-get');
  const latency = new Latency();
  latency.record('hit', bytes);
  return {
    counters: counters.values(),
    latency: latency.counts(),
    gauges: [
      { name: 'flights', help: '', value: 3 },
      { name: 'disk_cache_bytes', help: '', value: bytes, shared: true },
      { name: 'labelled', help: '', value: 1, labels: { of: String(bytes) } },
    ],
    usage: { resident_bytes: 100, cpu_seconds: 1.5 },
    cache: { dir: '/c', ram_bytes: 10, ram_limit: 20, disk_limit: 1000, ...cache },
    problems,
  };
}

describe('figures of several processes', () => {
  it('add up where each has its own, and are said once where they share it', () => {
    const { counters, gauges, usage, cache } = figuresTogether([
      figuresOf(5, { disk_bytes: 400 }),
      figuresOf(7, { disk_bytes: 500 }),
      figuresOf(7),
    ]);
    expect(counters).toMatchObject({ requests: 3, hits: 3, bytes_from_cache: 19, active_connections: 6, bypasses: 3 });
    expect(counters.bypass_reasons).toEqual({ 'not-get': 3 });
    expect(cache).toEqual({ dir: '/c', ram_bytes: 30, ram_limit: 60, disk_bytes: 500, disk_limit: 1000 });
    expect(usage).toEqual({ resident_bytes: 300, cpu_seconds: 4.5 });
    expect(gauges.map(({ name, value }) => [name, value])).toEqual([
      ['flights', 9],
      ['disk_cache_bytes', 7],
      ['labelled', 1],
      ['labelled', 2],
    ]);
  });

  it('of one are its own, and go through JSON', () => {
    const one = figuresOf(5, { disk_bytes: 1 }, ['a']);
    expect(figuresTogether([JSON.parse(JSON.stringify(one))])).toEqual(one);
  });

  it('have times as if one process had answered all', () => {
    const [latency, all] = [new Latency(), new Latency()];
    const parts = [3, 30, 300, 3000].map(ms => figuresOf(ms));
    for (const ms of [3, 30, 300, 3000]) all.record('hit', ms);
    latency.add(figuresTogether(parts as [Figures, ...Figures[]]).latency);
    expect(latency.read()).toEqual(all.read());
    expect(latency.cumulative('hit')).toEqual(all.cumulative('hit'));
  });

  it('tell a problem once that several have, in the order they are told', () => {
    const { problems } = figuresTogether([
      figuresOf(1, {}, ['own']),
      figuresOf(1, {}, ['volume', 'b']),
      figuresOf(1, {}, ['a', 'volume']),
    ]);
    expect(problems).toEqual(['own', 'volume', 'b', 'a']);
  });
});

describe('a process that has ended', () => {
  it('leaves what it counted, so that no total goes back, and nothing of what was now', () => {
    const before = figuresTogether([figuresOf(1), figuresOf(2), figuresOf(4)]);
    const past = addTotals(addTotals(NO_TOTALS, pastOf(figuresOf(2))), pastOf(figuresOf(4)));
    expect(past.cpu_seconds).toBe(3);
    const { counters, latency } = figuresTogether([{ ...figuresOf(1), ...past }, figuresOf(1)]);
    const { active_requests, active_connections, ...totals } = before.counters;
    expect(counters).toMatchObject(totals);
    expect({ active_requests: counters.active_requests, active_connections: counters.active_connections }).toEqual({
      active_requests: active_requests - 2,
      active_connections: active_connections - 4,
    });
    expect(latency).toEqual(before.latency);
  });
});
