import type { PinEnd, PinEvent, PinList } from '../../proxy-core/store/index.ts';
import { type CareCommandOptions, targetQuery, withCare } from './care-source.ts';
import { objectsOf } from './counts.ts';
import { FAILED, type Io, OK } from './io.ts';
import { printable, type S3Uri } from './s3-uri.ts';
import { bytes } from './status-lines.ts';

/** `cistern pin`: keeps a bucket or prefix from being evicted; without a target, lists what is pinned. */
export function pin(target: S3Uri | undefined, options: CareCommandOptions, io: Io): Promise<number> {
  return target ? change('pin', target, options, io) : list(options, io);
}

/** `cistern unpin`: takes a pin back. */
export function unpin(target: S3Uri, options: CareCommandOptions, io: Io): Promise<number> {
  return change('unpin', target, options, io);
}

function change(what: 'pin' | 'unpin', target: S3Uri, options: CareCommandOptions, io: Io): Promise<number> {
  return withCare(options, io, async ({ many }) => {
    let code = FAILED;
    for await (const event of many<PinEvent>('POST', `/v1/${what}`, targetQuery(target, options))) {
      if (options.json) io.out(JSON.stringify(event));
      else if (event.type === 'progress') io.show(`looked at ${objectsOf(event.looked)}`);
      else io.out(`${what === 'pin' ? 'Pinned' : 'Unpinned'} ${printable(target)}. ${share(event)}`);
      if (event.type === 'end') code = OK;
    }
    return code;
  });
}

function list(options: CareCommandOptions, io: Io): Promise<number> {
  return withCare(options, io, async ({ one }) => {
    const list = await one<PinList>('/v1/pins');
    const pins = list.pins.filter(({ origin }) => options.origin === undefined || origin === options.origin);
    if (options.json) io.out(JSON.stringify({ ...list, pins }));
    else {
      for (const { bucket, origin, prefix } of pins)
        io.out(`${printable({ bucket, prefix })}${origin === 'aws' ? '' : `  (${origin})`}`);
      io.err(pins.length === 0 ? 'Nothing is pinned.' : share(list));
    }
    return OK;
  });
}

function share({ disk_bytes, limit }: Omit<PinEnd, 'type'>): string {
  const over = disk_bytes > limit ? '; until it is less, it may be evicted like anything else' : '';
  return `What is pinned takes ${bytes(disk_bytes)} of the ${bytes(limit)} that it may${over}.`;
}
