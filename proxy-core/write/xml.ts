import { type X2jOptions, XMLParser } from 'fast-xml-parser';

/** An element's content: text, children by name (each a list), or nothing */
type Content = string | { readonly [name: string]: readonly Content[] | string | undefined };

export interface XmlRoot {
  readonly name: string;
  readonly content: Content;
}

/** The root element, namespace prefixes dropped; undefined for what is no XML. */
export function parseXml(bytes: Buffer): XmlRoot | undefined {
  let parsed: Record<string, unknown>;
  try {
    parsed = parser.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined; // The caller decides by the lack of a root; the reason says no more.
  }
  for (const [name, content] of Object.entries(parsed)) {
    if (name.startsWith('?') || name === '#text') continue;
    return { name, content: (Array.isArray(content) ? content[0] : content) as Content };
  }
  return undefined;
}

/** The children of that name. */
export function children(content: Content | undefined, name: string): readonly Content[] {
  if (content === undefined || typeof content === 'string') return [];
  const list = Object.hasOwn(content, name) ? content[name] : undefined;
  return list === undefined || typeof list === 'string' ? [] : list;
}

/** The text of the first child of that name. */
export function childText(content: Content | undefined, name: string): string | undefined {
  const child = children(content, name)[0];
  if (child === undefined || typeof child === 'string') return child;
  const text = child['#text'];
  return typeof text === 'string' ? text : undefined;
}

/**
 * S3's keys are exact: white space and digits stay as they are, and references give the very character, control characters
 * included (which XML 1.0 doesn't have, but keys do). Entities that a DOCTYPE declares are not expanded: S3 takes none.
 */
const entityDecoder = {
  decode: (text: string): string => (text.includes('&') ? text.replace(REFERENCE, reference) : text),
  reset(): void {},
  setXmlVersion(): void {},
  addInputEntities(): void {},
  setExternalEntities(): void {},
};

const REFERENCE = /&(?:#0*(\d{1,7})|#x0*([0-9a-f]{1,6})|(amp|lt|gt|quot|apos));/gi;
const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function reference(whole: string, decimal?: string, hex?: string, name?: string): string {
  if (name !== undefined) return NAMED[name] ?? whole;
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number.parseInt(decimal, 10);
  return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
}

const parser = new XMLParser({
  ignoreAttributes: true,
  removeNSPrefix: true,
  parseTagValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  processEntities: true,
  isArray: () => true,
  jPath: false,
  entityDecoder: entityDecoder as unknown as NonNullable<X2jOptions['entityDecoder']>,
});
