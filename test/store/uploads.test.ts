import { describe, expect, it } from 'vitest';
import { EXTENT, PIECE, SMALL } from '../../proxy-core/store/index.ts';
import { halfWrittenIn, noise, openStore, prose, tempFolder, until } from './helpers.ts';
import { give, OBJECT, upload, writtenHead } from './uploads.ts';

const SIZES = [0, 1, 1000, SMALL - 1, SMALL, SMALL + 1, PIECE + 1, EXTENT - 1, EXTENT, EXTENT + 1, 20 << 20];

describe('the content of an upload', () => {
  it.each(
    SIZES.flatMap(
      size =>
        [
          [size, true, 'shrinks'],
          [size, true, 'does not shrink'],
          [size, false, 'shrinks'],
          [size, false, 'does not shrink'],
        ] as const,
    ),
  )(
    'of %i bytes (length known: %s; it %s) is read back as it was, in this process and after a restart',
    async (size, known, kind) => {
      const folder = tempFolder();
      const first = await openStore(folder);
      const content = kind === 'shrinks' ? prose(size) : noise(size);
      const head = writtenHead(size);
      await upload(first.store, head, content, { known, compression: 'try' });
      expect(first.store.pool.bytesOut).toBe(0);
      expect((await give(first.store, 0, size - 1))?.equals(content)).toBe(true);
      const entry = await first.store.catalog.look(OBJECT);
      if (size > 0) expect(first.store.firstGap(entry, head, { start: 0, end: size - 1 })).toBeUndefined();
      await until(() => halfWrittenIn(folder).length === 0);
      await first.close();
      const { store } = await openStore(folder);
      expect((await store.catalog.look(OBJECT)).head).toEqual(head);
      expect((await give(store, 0, size - 1))?.equals(content)).toBe(true);
      const [from, to] = [Math.floor(size / 3), Math.max(0, Math.floor((2 * size) / 3) - 1)];
      if (size > 2) expect((await give(store, from, to))?.equals(content.subarray(from, to + 1))).toBe(true);
    },
  );
});
