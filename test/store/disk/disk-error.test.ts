import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { codeOf, inWords, isMissing } from '../../../proxy-core/store/disk/disk-error.ts';
import { DiskUnavailable } from '../../../proxy-core/store/disk/operations.ts';

/** An error as Node makes it of an errno that libuv has no name for. */
function nameless(errno: number): Error {
  const code = `Unknown system error -${errno}`;
  return Object.assign(new Error(`${code}: ${code}, open '/cache/buckets/data/a'`), {
    errno: -errno,
    code,
    syscall: 'open',
    path: '/cache/buckets/data/a',
  });
}

const named = (code: string, what = 'x') =>
  Object.assign(new Error(`${code}: ${what}, open '/cache/secret'`), { errno: -9999, code, syscall: 'open' });

describe('an error of the cache volume', () => {
  it('is ESTALE by its number, which libuv has no name for', () => {
    expect(codeOf(nameless(constants.errno.ESTALE))).toBe('ESTALE');
    expect(inWords(nameless(constants.errno.ESTALE))).toBe(
      'the cache volume no longer knows its files (ESTALE, stale file handle). Mount it again.',
    );
    expect(codeOf(named('EIO'))).toBe('EIO');
    expect(codeOf(new Error('no system error'))).toBeUndefined();
  });

  it('says a file is missing only where there is none', async () => {
    const missing = await readFile('/nowhere/at/all').catch(error => error);
    const below = await readFile(`${import.meta.filename}/x`).catch(error => error);
    expect([missing, below].map(isMissing)).toEqual([true, true]);
    expect([named('EIO'), nameless(constants.errno.ESTALE), new Error('ENOENT')].map(isMissing)).toEqual([
      false,
      false,
      false,
    ]);
  });

  it.each(['EIO', 'EROFS', 'ENOSPC', 'EDQUOT', 'EACCES', 'EPERM', 'ENOTCONN', 'ENODEV', 'ENXIO', 'EMFILE', 'ENFILE'])(
    '%s says what is wrong, what to do and which code it has, and not which file it was',
    code => {
      const words = inWords(named(code));
      expect(words).toMatch(new RegExp(`\\(${code}\\b.*\\)\\. [A-Z].*\\.$`));
      expect(words).not.toContain('/cache/');
    },
  );

  it('of another kind, or none of the system’s, is said as it came, without the path', () => {
    expect(inWords(named('EFBIG', 'file too large'))).toBe('EFBIG: file too large');
    expect(inWords(new Error('the disk is odd'))).toBe('the disk is odd');
    expect(inWords(new DiskUnavailable('the cache volume has not answered about this file yet'))).toMatch(
      /cache volume did not answer in time\. Check/,
    );
  });
});
