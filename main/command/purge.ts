import type { PurgeEvent } from '../../proxy-core/store/index.ts';
import { type CareCommandOptions, targetQuery, withCare } from './care-source.ts';
import { filesOf, objectsOf } from './counts.ts';
import { FAILED, type Io, OK } from './io.ts';
import { printable, type S3Uri } from './s3-uri.ts';
import { bytes } from './status-lines.ts';

export interface PurgeOptions extends CareCommandOptions {
  readonly dryRun?: boolean;
}

/** `cistern purge`: removes what is cached of a bucket or prefix. Exits with 1 when something of it could not be removed. */
export function purge(target: S3Uri, options: PurgeOptions, io: Io): Promise<number> {
  return withCare(options, io, async ({ many }) => {
    const query = { ...targetQuery(target, options), dry_run: String(options.dryRun === true) };
    let code = FAILED;
    for await (const event of many<PurgeEvent>('POST', '/v1/purge', query)) {
      if (options.json) io.out(JSON.stringify(event));
      else if (event.type === 'progress') io.show(`looked at ${objectsOf(event.looked)}; ${counted(event)} so far`);
      else {
        io.out(`${event.dry_run ? 'Would remove' : 'Removed'} ${counted(event)}, of ${printable(target)}`);
        if (event.left > 0) io.err(`cistern: ${filesOf(event.left)} could not be removed: ${event.problem}`);
      }
      if (event.type === 'end') code = event.left > 0 ? FAILED : OK;
    }
    return code;
  });
}

function counted({ objects, disk_bytes }: { readonly objects: number; readonly disk_bytes: number }): string {
  return `${objectsOf(objects)}, ${bytes(disk_bytes)} on the disk`;
}
