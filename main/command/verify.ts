import type { Fault, VerifyEnd, VerifyEvent, VerifyProgress } from '../../proxy-core/store/index.ts';
import { type AskMany, type CareCommandOptions, withCare } from './care-source.ts';
import { filesOf, objectsOf } from './counts.ts';
import { FAILED, type Io, OK } from './io.ts';
import { bar, Remaining } from './progress-bar.ts';
import { escaped } from './s3-uri.ts';
import { bytes } from './status-lines.ts';

export interface VerifyOptions extends CareCommandOptions {
  readonly fromStart?: boolean;
}

/** Faults of one kind that are printed; the rest is counted. */
const SHOWN = 20;

/**
 * `cistern verify`: reads all that is cached, checks it, and repairs what it can. A signal stops it where it is, and the next
 * one goes on from there. Exits with 1 when it was stopped, or something remains that it could not repair.
 */
export function verify(options: VerifyOptions, io: Io): Promise<number> {
  return withCare(options, io, async ({ many }) => {
    const stop = new AbortController();
    io.onStopSignal(() => stop.abort());
    try {
      return await follow(many, options, io, stop.signal);
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      io.err('cistern: stopped. `cistern verify` goes on from here.');
      return FAILED;
    }
  });
}

async function follow(many: AskMany, options: VerifyOptions, io: Io, signal: AbortSignal): Promise<number> {
  const remaining = new Remaining();
  const shown = new Map<string, number>();
  let code = FAILED;
  const query = { from_start: String(options.fromStart === true) };
  for await (const event of many<VerifyEvent>('POST', '/v1/verify', query, signal)) {
    if (options.json) io.out(JSON.stringify(event));
    else if (event.type === 'progress') io.show(progressLine(event, remaining));
    else if (event.type === 'fault') {
      const count = (shown.get(event.what) ?? 0) + 1;
      shown.set(event.what, count);
      if (count <= SHOWN) io.out(faultLine(event));
      else if (count === SHOWN + 1) io.out(`${event.what}: more, not shown (--json shows all)`);
    } else for (const line of endLines(event)) io.out(line);
    if (event.type === 'end') code = event.unreadable > 0 ? FAILED : OK;
  }
  return code;
}

export function progressLine(event: VerifyProgress, remaining: Remaining): string {
  const { disk_bytes, total, stage, objects, damaged } = event;
  if (stage === 'accounting') return 'counting what it takes on the disk…';
  const part = total === undefined || total === 0 ? undefined : disk_bytes / total;
  return [
    bar(part),
    total === undefined ? bytes(disk_bytes) : `${bytes(disk_bytes)} of ${bytes(total)}`,
    objectsOf(objects),
    damaged > 0 ? `${damaged} damaged` : '',
    part === undefined ? '' : remaining.after(part),
  ]
    .filter(text => text !== '')
    .join('  ');
}

function faultLine({ what, path, bucket, key, detail }: Fault): string {
  const of = bucket === undefined || key === undefined ? '' : ` (s3://${bucket}/${escaped(key)})`;
  return `${what}: ${escaped(path)}${of}: ${detail}`;
}

function endLines(end: VerifyEnd): string[] {
  const { objects, files, disk_bytes, damaged, leftover, unreadable, unknown, correction } = end;
  const lines = [`Verified ${objectsOf(objects)} in ${filesOf(files)}, ${bytes(disk_bytes)} on the disk.`];
  if (damaged > 0) lines.push(`Damaged and removed: ${filesOf(damaged)}; S3 is asked for the content when it is read.`);
  if (leftover > 0) lines.push(`Left over from before, and removed: ${filesOf(leftover)}.`);
  if (unreadable > 0)
    lines.push(`Can't be read: ${filesOf(unreadable)}; check the disk or its server, and the owners of the files.`);
  if (unknown > 0) lines.push(`Not Cistern's, and left alone: ${filesOf(unknown)}.`);
  if (correction === undefined) lines.push('What it takes on the disk could not be counted.');
  else if (correction !== 0)
    lines.push(
      `The count of what it takes on the disk was ${bytes(Math.abs(correction))} too ${correction > 0 ? 'low' : 'high'}, and is right now.`,
    );
  if (damaged + leftover + unreadable + unknown === 0) lines.push('All is well.');
  return lines;
}
