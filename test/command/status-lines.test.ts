import { expect, it } from 'vitest';
import { statusLines } from '../../main/command/status-lines.ts';
import { Counters } from '../../proxy-core/observe/index.ts';
import { snapshotOf } from '../admin/fixtures.ts';

it('a status says what became of uploads, once there were any', () => {
  const counters = new Counters();
  const uploads = () => statusLines(snapshotOf(counters)).filter(line => line.startsWith('  uploads'));
  expect(uploads()).toEqual([]);
  counters.uploads_kept = 3;
  expect(uploads()).toEqual(['  uploads    3 kept']);
  counters.passUploadBy('too_large');
  counters.passUploadBy('sse_c');
  counters.passUploadBy('too_large');
  expect(uploads()).toEqual(['  uploads    3 kept, 2 not (too_large), 1 not (sse_c)']);
});

it('a status tells the processes that serve behind the port, where there are several', () => {
  const workers = [
    { number: 1, pid: 12, active_connections: 1 },
    { number: 2, active_connections: 0 },
  ];
  expect(statusLines({ ...snapshotOf(), workers })).toContain(
    '  workers    process 12 (1 connection), one is being started',
  );
  expect(statusLines(snapshotOf()).join()).not.toContain('workers');
});
