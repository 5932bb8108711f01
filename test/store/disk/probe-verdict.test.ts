import { describe, expect, it } from 'vitest';
import { judgeVolume, summary, type VolumeFacts } from '../../../proxy-core/store/disk/probe-verdict.ts';

const GOOD: VolumeFacts = {
  readsBack: true,
  links: 'refuses',
  replaces: true,
  overwrites: true,
  mode: { asked: 0o600, is: 0o600 },
  longestName: 241,
  foldsCase: false,
  countsBlocks: true,
  clockAhead: 0,
  writeMs: 0.42,
  readMs: 0.1,
  space: { total: 100 * 2 ** 30, free: 50 * 2 ** 30, freeFiles: 1_000_000 },
};

function found(facts: Partial<VolumeFacts>): string[] {
  return judgeVolume({ ...GOOD, ...facts }).map(({ key, severity }) => `${severity} ${key}`);
}

describe('a volume', () => {
  it.each<[string, Partial<VolumeFacts>]>([
    ['does all that is needed', {}],
    ['has no hard links: rename is as good', { links: 'none' }],
    ['takes A and a for one: no name of the cache has capitals', { foldsCase: true }],
    ['has no limit of files', { space: { ...GOOD.space, freeFiles: undefined } }],
    ['takes from a mode', { mode: { asked: 0o660, is: 0o600 } }],
    ['means nothing by modes', { mode: undefined }],
    ['has a clock a little off', { clockAhead: -4999 }],
  ])('is fine that %s', (_, facts) => {
    expect(found(facts)).toEqual([]);
  });

  it.each<[string, Partial<VolumeFacts>, string]>([
    ['gives other bytes', { readsBack: false }, 'problem content'],
    ['can’t replace a file', { replaces: false }, 'problem rename'],
    ['can’t change one in place', { overwrites: false }, 'problem overwrite'],
    ['lets a link replace', { links: 'replaces' }, 'note link_replaces'],
    ['lets others read', { mode: { asked: 0o600, is: 0o777 } }, 'problem modes'],
    ['lets everybody read what a team shares', { mode: { asked: 0o660, is: 0o664 } }, 'problem modes'],
    ['takes names of 120 bytes only', { longestName: 120 }, 'note names'],
    ['takes no long names', { longestName: 0 }, 'problem names'],
    ['counts no blocks', { countsBlocks: false }, 'problem blocks'],
    ['tells no space', { space: { total: 0, free: 0, freeFiles: undefined } }, 'problem space'],
    ['has few inodes left', { space: { ...GOOD.space, freeFiles: 12 } }, 'problem inodes'],
    ['has a clock ahead', { clockAhead: 240_000 }, 'note clock'],
    ['is slow', { readMs: 30 }, 'note latency'],
    ['is slower than S3', { readMs: 250 }, 'problem latency'],
  ])('that %s is told', (_, facts, expected) => {
    expect(found(facts)).toEqual([expected]);
  });

  it('is told in sentences that say what to do', () => {
    const [clock] = judgeVolume({ ...GOOD, clockAhead: -240_000 });
    expect(clock?.message).toBe(
      'the clock of the cache volume is 4 min behind this machine’s. Cistern goes by the volume’s and allows for it; S3 refuses signatures of a machine whose clock is 15 minutes off, so set the one that is wrong.',
    );
  });

  it('is summed up in a line', () => {
    const mount = { type: 'nfs4', source: 'files.example:/team', point: '/mnt/team', options: new Map() };
    expect(summary(mount, GOOD)).toBe(
      'nfs4 (files.example:/team) at /mnt/team, hard links, a small file is written in 0.4 ms and read in 0.1 ms, 50.0 GiB free',
    );
    expect(summary(undefined, { ...GOOD, links: 'none', clockAhead: 90_000 })).toBe(
      'no hard links, a small file is written in 0.4 ms and read in 0.1 ms, 50.0 GiB free, clock 90 s ahead',
    );
  });
});
