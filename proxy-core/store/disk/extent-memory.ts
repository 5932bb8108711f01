import { decompressFrame } from 'lz4-napi';
import type { Span } from '../../request/index.ts';
import { type Binding, checksum, decodeIndex, unitSpan } from './extent-format.ts';

/** The content of a whole extent that was read into memory (the body behind a head), or undefined when it is damaged. */
export async function decodeExtent(file: Buffer, binding: Binding, span: Span): Promise<Buffer | undefined> {
  const units = decodeIndex(file, binding, span);
  if (!units) return undefined;
  const content = Buffer.allocUnsafeSlow(span.end - span.start + 1);
  for (const [index, unit] of units.entries.entries()) {
    const { start, end } = unitSpan(span, index, units.grid);
    const stored = file.subarray(unit.offset, unit.offset + unit.size);
    const bytes = unit.stored ? stored : await decompressFrame(stored).catch(() => undefined);
    if (!bytes || bytes.length !== end - start + 1 || checksum(bytes) !== unit.checksum) return undefined;
    bytes.copy(content, start - span.start);
  }
  return content;
}
