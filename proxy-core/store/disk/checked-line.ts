import { xxh64 } from '@node-rs/xxhash';

/** One line of JSON (which holds no line break; one char per byte) behind its checksum. */
export function checkedLine(json: string): string {
  return `${hexOf(json)} ${json}\n`;
}

/** The JSON of such a line, or undefined when it is damaged. */
export function checkedJson(line: string): string | undefined {
  const json = line.slice(17, -1);
  return line === checkedLine(json) ? json : undefined;
}

/** xxh64 of a text with one char per byte. */
export function hexOf(text: string): string {
  return xxh64(Buffer.from(text, 'latin1')).toString(16).padStart(16, '0');
}
