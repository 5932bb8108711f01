import { describe, expect, it } from 'vitest';
import { Unread, type UnreadUpload } from '../../proxy-core/store/uploads/unread.ts';

const upload = (hash: string, at: number, bytes = 10): UnreadUpload => ({ hash, folder: 'data', key: hash, bytes, at });

function withUploads(count: number, most?: number): Unread {
  const unread = new Unread(most);
  for (let i = 0; i < count; i++) unread.add(upload(`u${i}`, i));
  return unread;
}

/** Takes them off one after the other, by what `find` says. */
function allFound(unread: Unread, mayGo: (upload: UnreadUpload) => boolean): string[] {
  const found: string[] = [];
  for (let none = 0; none < 1000; ) {
    const next = unread.find(mayGo);
    if (next) {
      unread.remove(next.hash);
      found.push(next.hash);
    } else none++;
  }
  return found;
}

describe('uploads that nobody has read', () => {
  it('are counted in bytes, until somebody reads them', () => {
    const unread = withUploads(3);
    unread.remove('u1');
    unread.remove('somebody else');
    unread.shrink('u2', 4);
    expect([unread.bytes, unread.size]).toEqual([16, 2]);
  });

  it('that are uploaded again are as young as that, and count once', () => {
    const unread = withUploads(2);
    unread.add(upload('u0', 5, 30));
    expect(unread.oldest?.hash).toBe('u1');
    expect(unread.bytes).toBe(40);
  });

  it('go in the order in which they came', () => {
    expect(allFound(withUploads(5), () => true)).toEqual(['u0', 'u1', 'u2', 'u3', 'u4']);
  });

  it('are found however many that may stay are older, without a look at all of them at a time', () => {
    const unread = withUploads(5000);
    let looks = 0;
    let most = 0;
    const found = allFound(unread, ({ at }) => {
      most = Math.max(most, ++looks);
      return at >= 4000 && at % 100 === 0;
    });
    expect(found).toHaveLength(10);
    looks = 0;
    expect(unread.find(() => ++looks < 0)).toBeUndefined();
    expect(looks).toBeLessThanOrEqual(64);
  });

  it('are remembered one by one up to a bound; beyond it the bytes of the oldest are', () => {
    const unread = withUploads(10, 4);
    expect(unread.size).toBe(4);
    expect(unread.bytes).toBe(100);
    expect(unread.oldest?.hash).toBe('u6');
  });
});

describe('a census', () => {
  it('brings those of others, in the order of their age, and takes away what it did not find', () => {
    const unread = withUploads(2);
    unread.beginCount();
    unread.found(upload('other', -5, 7));
    unread.found(upload('u1', 1));
    unread.found(upload('another', -9, 7));
    unread.endCount(true, 100);
    expect(unread.bytes).toBe(24);
    expect(allFound(unread, () => true)).toEqual(['another', 'other', 'u1']);
  });

  it('leaves what was uploaded and what was read since it began', () => {
    const unread = withUploads(2);
    unread.beginCount();
    unread.found(upload('u0', 0));
    unread.found(upload('u1', 1));
    unread.remove('u0');
    unread.add(upload('new', 200, 5));
    unread.endCount(true, 100);
    expect(unread.bytes).toBe(15);
    expect(allFound(unread, () => true)).toEqual(['u1', 'new']);
  });

  it('that was stopped changes nothing', () => {
    const unread = withUploads(2);
    unread.beginCount();
    unread.endCount(false, 100);
    expect([unread.bytes, unread.size]).toEqual([20, 2]);
  });
});
