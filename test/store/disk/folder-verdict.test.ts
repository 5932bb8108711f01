import { describe, expect, it } from 'vitest';
import { type Found, judge, newMarker, type Verdict } from '../../../proxy-core/store/disk/folder-verdict.ts';

const MARKER = '{"format":1,"made":"2026-11-22T00:00:00.000Z"}\n';
const OTHER = '{"format":1,"made":"2020-01-01T00:00:00.000Z"}\n';
const at = (device: number, marker?: string): Found => ({ device, marker });
const BEFORE = at(7, MARKER);

describe('a cache folder', () => {
  it.each<[string, Found, Found | undefined, Verdict]>([
    ['is made at the first look where there is none', at(7), undefined, 'make'],
    ['is used at the first look, whatever device it is on', at(8, MARKER), undefined, 'use'],
    ['is used as long as nothing changes', at(7, MARKER), BEFORE, 'use'],
    ['is made anew where it was deleted', at(7), BEFORE, 'make'],
    ['is not made where its volume was', at(8), BEFORE, 'gone'],
    ['is used when its volume is back, though the device has another number', at(9, MARKER), BEFORE, 'use'],
    ['is used when another process has made it anew', at(7, OTHER), BEFORE, 'use'],
    ['that is another one, on another device, is not used', at(8, OTHER), BEFORE, 'another'],
    ['of another format is refused', at(7, '{"format":2}'), undefined, { unknownFormat: 2 }],
    ['is refused where another version has changed its format', at(7, '{"format":2}'), BEFORE, { unknownFormat: 2 }],
    ['without a format is refused', at(7, '{}'), undefined, { unknownFormat: 'unknown' }],
    ['with half a marker is refused', at(7, '{"form'), undefined, { unknownFormat: 'unknown' }],
    ['with an empty marker is refused', at(7, ''), undefined, { unknownFormat: 'unknown' }],
    ['with null for a marker is refused', at(7, 'null'), undefined, { unknownFormat: 'unknown' }],
  ])('%s', (_, found, before, verdict) => {
    expect(judge(found, before)).toEqual(verdict);
  });

  it('is known again by the marker it was made with', () => {
    expect(judge(at(1, newMarker()), undefined)).toBe('use');
  });
});
