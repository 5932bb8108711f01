import type { Head } from '../store/index.ts';
import { type Extent, replay } from './answer.ts';
import { httpDate } from './http-date.ts';
import type { Note } from './types.ts';

/** Objects whose answers are kept prepared. */
const PREPARED = 2_048;

/** Text of an answer's head, with places for what is another in each answer. */
type Template = readonly (string | typeof DATE | typeof LENGTH | typeof RANGE)[];

const DATE = 0;
const LENGTH = 1;
const RANGE = 2;

/**
 * Status line and headers of hits as they go onto a connection that stays open, made of what {@link replay} says and in the
 * form that `node:http` would give them. Prepared once per object, with and without checksums, whole and in part.
 */
export class HeadTexts {
  readonly #prepared = new Map<Head, (Template | undefined)[]>();

  /** Undefined where a header is one that `node:http` would not write. */
  of(head: Head, body: Extent, checksums: boolean, note: Note): string | undefined {
    let variants = this.#prepared.get(head);
    if (!variants) {
      variants = [];
      // Made anew in a microsecond or two, so that keeping account of which was used last would cost more.
      if (this.#prepared.size >= PREPARED) this.#prepared.clear();
      this.#prepared.set(head, variants);
    }
    const variant = (checksums ? 1 : 0) + (body.range === undefined ? 0 : 2);
    variants[variant] ??= prepare(replay(head, body, { checksums, part: undefined, cors: [] }, note), body.range);
    return variants[variant] && render(variants[variant], body);
  }
}

function render(template: Template, body: Extent): string {
  let text = '';
  for (const part of template) {
    if (part === DATE) text += httpDate();
    else if (part === LENGTH) text += body.length;
    else if (part === RANGE) text += body.range;
    else text += part;
  }
  return text;
}

function prepare(headers: readonly string[], range: string | undefined): Template | undefined {
  const template: (string | number)[] = [];
  let text = range === undefined ? 'HTTP/1.1 200 OK\r\n' : 'HTTP/1.1 206 Partial Content\r\n';
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!;
    const value = headers[i + 1]!;
    if (!NAME.test(name) || NOT_IN_A_VALUE.test(value)) return undefined;
    text += `${name}: `;
    const place = PLACES.get(name.toLowerCase());
    if (place === undefined) text += value;
    else {
      template.push(text, place);
      text = '';
    }
    text += '\r\n';
  }
  template.push(`${text}Connection: keep-alive\r\n\r\n`);
  return template as Template;
}

/** Heads keep no other values of these. */
const PLACES = new Map([
  ['date', DATE],
  ['content-length', LENGTH],
  ['content-range', RANGE],
]);

/** RFC 9110 sections 5.6.2 and 5.5, as node:http checks them. */
const NAME = /^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+$/;
const NOT_IN_A_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
