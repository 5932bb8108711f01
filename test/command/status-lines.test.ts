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
