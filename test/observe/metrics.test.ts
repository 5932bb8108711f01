import { describe, expect, it } from 'vitest';
import { Counters, Latency, type MetricsSources, OUTCOMES, renderMetrics } from '../../proxy-core/observe/index.ts';

const sources = (): MetricsSources & { counters: Counters; latency: Latency } => ({
  version: '1.2.3',
  startedAt: 1_700_000_000_000,
  counters: new Counters(),
  latency: new Latency(),
  gauges: [],
});

/** A reader of the exposition format that is stricter than Prometheus: each line must be one of the three kinds. */
function parse(text: string): { samples: Map<string, number>; types: Map<string, string> } {
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.trimEnd().split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-z][a-z0-9_]*) (.+)$/.exec(line);
    if (comment) {
      if (comment[1] === 'TYPE') {
        expect(types.has(comment[2]!)).toBe(false);
        types.set(comment[2]!, comment[3]!);
      }
      continue;
    }
    const sample = /^([a-z][a-z0-9_]*(?:\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*\})?) (-?[0-9.e+-]+)$/.exec(line);
    expect(sample, line).not.toBeNull();
    expect(samples.has(sample![1]!)).toBe(false);
    const family = sample![1]!.replace(/\{.*/, '');
    expect(types.has(family) || types.has(family.replace(/_(bucket|sum|count)$/, '')), line).toBe(true);
    samples.set(sample![1]!, Number(sample![2]));
  }
  return { samples, types };
}

describe('the Prometheus exposition', () => {
  it('shows each counter by its name, and what is active now as a gauge', () => {
    const from = sources();
    const counted = Object.entries(from.counters).filter(([, value]) => typeof value === 'number');
    const numbers = counted.map(([name]) => name).filter(name => name !== 'bypasses');
    for (const [i, name] of numbers.entries()) (from.counters as unknown as Record<string, number>)[name] = i + 1;
    const { samples, types } = parse(renderMetrics(from));
    for (const [i, name] of numbers.entries()) {
      const shown = name.startsWith('active_') ? `cistern_${name}` : `cistern_${name}_total`;
      expect(samples.get(shown), name).toBe(i + 1);
      expect(types.get(shown)).toBe(name.startsWith('active_') ? 'gauge' : 'counter');
    }
  });

  it('shows bypasses by reason, the reason escaped', () => {
    const from = sources();
    from.counters.bypass('subresource');
    from.counters.bypass('subresource');
    from.counters.bypass('a "b"\\\nc');
    const { samples } = parse(renderMetrics(from));
    expect(samples.get('cistern_bypasses_total{reason="subresource"}')).toBe(2);
    expect(samples.get('cistern_bypasses_total{reason="a \\"b\\"\\\\\\nc"}')).toBe(1);
  });

  it('shows uploads that were not kept, by reason', () => {
    const from = sources();
    from.counters.passUploadBy('too_large');
    from.counters.passUploadBy('too_large');
    const { samples } = parse(renderMetrics(from));
    expect(samples.get('cistern_uploads_passed_by_total{reason="too_large"}')).toBe(2);
  });

  it('shows latency as a histogram in seconds whose buckets only grow', () => {
    const from = sources();
    for (const time of [0.05, 0.8, 3, 40, 500, 1e9]) from.latency.record('hit', time);
    const { samples, types } = parse(renderMetrics(from));
    expect(types.get('cistern_first_byte_seconds')).toBe('histogram');
    const buckets = [...samples].filter(([name]) => name.startsWith('cistern_first_byte_seconds_bucket{outcome="hit"'));
    const counts = buckets.map(([, count]) => count);
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    const bounds = buckets.map(([name]) => Number(/le="([^"]+)"/.exec(name)![1]!.replace('+Inf', 'Infinity')));
    expect(bounds).toEqual([...bounds].sort((a, b) => a - b));
    expect(samples.get('cistern_first_byte_seconds_bucket{outcome="hit",le="0.001"}')).toBe(2);
    expect(samples.get('cistern_first_byte_seconds_bucket{outcome="hit",le="+Inf"}')).toBe(6);
    expect(samples.get('cistern_first_byte_seconds_count{outcome="hit"}')).toBe(6);
    expect(samples.get('cistern_first_byte_seconds_sum{outcome="hit"}')).toBeCloseTo(1_000_000.54385);
    for (const outcome of OUTCOMES)
      expect(samples.has(`cistern_first_byte_seconds_count{outcome="${outcome}"}`)).toBe(true);
  });

  it('shows the gauges it is given, samples of one name under one heading', () => {
    const help = 'Bytes held.';
    const gauges = [
      { name: 'cache_bytes', help, value: 5, labels: { tier: 'ram' } },
      { name: 'cache_limit_bytes', help: 'Most bytes.', value: 9 },
      { name: 'cache_bytes', help, value: 7, labels: { tier: 'disk' } },
    ];
    const { samples, types } = parse(renderMetrics({ ...sources(), gauges }));
    expect(samples.get('cistern_cache_bytes{tier="ram"}')).toBe(5);
    expect(samples.get('cistern_cache_bytes{tier="disk"}')).toBe(7);
    expect(samples.get('cistern_cache_limit_bytes')).toBe(9);
    expect(types.get('cistern_cache_bytes')).toBe('gauge');
  });

  it('says which Cistern it is and since when it runs', () => {
    const { samples } = parse(renderMetrics(sources()));
    expect(samples.get(`cistern_build_info{version="1.2.3",node="${process.version}"}`)).toBe(1);
    expect(samples.get('cistern_start_time_seconds')).toBe(1_700_000_000);
    expect(samples.get('cistern_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(samples.get('cistern_cpu_seconds_total')).toBeGreaterThan(0);
  });
});
