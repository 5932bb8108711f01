import type { CachedBucket, CachedObject, ListEnd, ListEvent } from '../../proxy-core/store/index.ts';
import { type CareCommandOptions, targetQuery, withCare } from './care-source.ts';
import { objectsOf } from './counts.ts';
import { type Io, OK } from './io.ts';
import { escaped, type S3Uri } from './s3-uri.ts';
import { bytes } from './status-lines.ts';

/** So many lines are held back to be sorted by name; a longer list comes as it is found. */
const SORTED = 10_000;

type Line = CachedObject | CachedBucket;

/** `cistern ls`: what is cached; without a target the buckets, else the objects. */
export function ls(target: S3Uri | undefined, options: CareCommandOptions, io: Io): Promise<number> {
  return withCare(options, io, async ({ many }) => {
    const events = target
      ? many<ListEvent>('GET', '/v1/objects', targetQuery(target, options))
      : many<ListEvent>('GET', '/v1/buckets');
    const list = new List(options.json === true, io);
    for await (const event of events) {
      if (event.type === 'progress') io.show(`looked at ${objectsOf(event.looked)}`);
      else if (event.type === 'end') list.end(event);
      else if (options.origin === undefined || event.origin === options.origin) list.add(event);
      if (!(await io.taken())) return OK;
    }
    return OK;
  });
}

class List {
  readonly #json: boolean;
  readonly #io: Io;
  #held: Line[] | undefined = [];

  constructor(json: boolean, io: Io) {
    this.#json = json;
    this.#io = io;
  }

  add(line: Line): void {
    if (this.#json) this.#io.out(JSON.stringify(line));
    else if (this.#held === undefined) this.#io.out(inWords(line));
    else if (this.#held.push(line) > SORTED) this.#letGo();
  }

  end({ objects, cached, disk_bytes }: ListEnd): void {
    this.#letGo();
    this.#io.show();
    if (this.#json) return;
    this.#io.err(`${objectsOf(objects)}, ${bytes(cached)} of content, ${bytes(disk_bytes)} on the disk`);
  }

  #letGo(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const line of held.sort((a, b) => compare(nameOf(a), nameOf(b)))) this.#io.out(inWords(line));
  }
}

/** `2026-11-23 09:12  100 %    64.0 MiB  s3://bucket/key` */
function inWords(line: Line): string {
  const used = line.last_used === undefined ? '-'.padEnd(16) : minute(new Date(line.last_used));
  const part =
    line.type === 'bucket'
      ? line.objects.toLocaleString('en').padStart(9)
      : share(line.cached, line.length).padStart(5);
  const origin = line.origin === 'aws' ? '' : `  (${escaped(line.origin)})`;
  const pinned = line.type === 'object' && line.pinned ? '  pinned' : '';
  return `${used}  ${part}  ${bytes(line.cached).padStart(9)}  ${escaped(nameOf(line))}${origin}${pinned}`;
}

function nameOf(line: Line): string {
  return line.type === 'bucket' ? `s3://${line.bucket}` : `s3://${line.bucket}/${line.key}`;
}

/** Never 100 % of what is not whole, nor 0 % of what is there. */
function share(cached: number, length: number): string {
  if (cached === length) return '100 %';
  if (cached === 0) return '0 %';
  return `${Math.min(99, Math.max(1, Math.round((cached / length) * 100)))} %`;
}

function minute(at: Date): string {
  const two = (number: number) => String(number).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
