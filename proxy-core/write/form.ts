import { keyReadings, pathReadings } from '../request/index.ts';

/**
 * The keys (bytes as latin1) that a browser form upload may write, from the beginning of its body: field `key`, in which
 * `${filename}` stands for the file's name without its folders (S3 API reference, "POST Object"). Fields after the file are
 * ignored by S3. Usually one; none when the beginning doesn't tell.
 */
export function formKeys(start: Buffer, contentType: string | undefined): string[] {
  const text = start.toString('latin1');
  const delimiter = `--${boundaryOf(contentType) ?? ''}`;
  const templates: string[] = [];
  let at = delimiter === '--' ? -1 : text.indexOf(delimiter);
  while (at >= 0) {
    const headersFrom = text.indexOf('\r\n', at + delimiter.length);
    const bodyFrom = text.indexOf('\r\n\r\n', headersFrom);
    if (headersFrom < 0 || bodyFrom < 0) break;
    const disposition = /^content-disposition:(.*)$/im.exec(text.slice(headersFrom, bodyFrom))?.[1] ?? '';
    const name = parameter(disposition, 'name')?.toLowerCase();
    if (name === 'file') return fill(templates, parameter(disposition, 'filename'));
    const end = text.indexOf(`\r\n${delimiter}`, bodyFrom + 2);
    if (end < 0) break;
    if (name === 'key') templates.push(text.slice(bodyFrom + 4, Math.max(end, bodyFrom + 4)));
    at = end + 2;
  }
  return fill(templates, undefined);
}

/**
 * The keys that the Location of an accepted form upload may mean: after 201 or 204 the object's address, after 303 the page
 * to go to, with S3's `key` parameter.
 */
export function locationKeys(status: number, location: string, bucket: string): string[] {
  const [, path = '', query = ''] = /^(?:https?:\/\/[^/?#]*)?([^?#]*)(?:\?([^#]*))?/i.exec(location) ?? [];
  if (status === 303) {
    return query
      .split('&')
      .filter(pair => pair.startsWith('key='))
      .flatMap(pair => keyReadings(pair.slice(4)));
  }
  return pathReadings(path.slice(1), bucket);
}

function fill(templates: readonly string[], filename: string | undefined): string[] {
  const keys = new Set<string>();
  for (const template of templates) {
    if (!template.includes(VARIABLE)) keys.add(template);
    else for (const name of filenameReadings(filename)) keys.add(template.replaceAll(VARIABLE, () => name));
  }
  keys.delete('');
  return [...keys];
}

// The form's own variable, not a template of ours.
const VARIABLE = '$' + '{filename}';

/** Browsers write a quote in a file's name as `%22`, older ones as `\"`; what S3 makes of either isn't documented. */
function filenameReadings(filename: string | undefined): string[] {
  if (filename === undefined) return [];
  const unescaped = filename.replace(/\\(["\\])/g, '$1');
  const names = [filename, unescaped, filename.replaceAll('%22', '"')];
  return [...new Set(names.map(name => name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1)))];
}

function boundaryOf(contentType: string | undefined): string | undefined {
  return contentType && parameter(contentType, 'boundary');
}

function parameter(value: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]+))`, 'i').exec(value);
  return match?.[1] ?? match?.[2];
}
