import { Argument, type Command } from 'commander';
import { canonicalAuthority } from '../../proxy-core/request/index.ts';
import type { CareCommandOptions } from './care-source.ts';
import type { Io } from './io.ts';
import { ls } from './ls.ts';
import { pin, unpin } from './pin.ts';
import { type PurgeOptions, purge } from './purge.ts';
import { type S3Uri, s3Uri } from './s3-uri.ts';
import { withSettingsOptions } from './settings-options.ts';
import { type VerifyOptions, verify } from './verify.ts';

/** Adds the commands that care for what is cached. @param onCode told the exit code of the one that ran */
export function addCareCommands(program: Command, io: Io, onCode: (code: number) => void): void {
  const add = <T, O extends CareCommandOptions>(
    name: string,
    description: string,
    target: Argument,
    run: (target: T, options: O, io: Io) => Promise<number>,
  ) =>
    withSettingsOptions(program.command(name).description(description).addArgument(target))
      .action(async (named: T, options: O) => onCode(await run(named, options, io)))
      .option(
        '--origin <name>',
        'where the bucket lives: aws, or host:port of an S3-compatible store (default: anywhere)',
        canonicalAuthority,
      )
      .option('--json', 'one JSON object a line, for programs');
  const needed = () => new Argument('<target>', 's3://bucket/prefix').argParser(s3Uri);
  const or = (without: string) =>
    new Argument('[target]', `s3://bucket/prefix; without it, ${without}`).argParser(s3Uri);

  offline(
    add<S3Uri | undefined, CareCommandOptions>(
      'ls',
      'list what is cached: how much of each object, and when it was last used',
      or('the buckets'),
      ls,
    ),
  );
  offline(
    add<S3Uri, PurgeOptions>(
      'purge',
      'remove what is cached of a bucket or prefix; nothing changes in S3',
      needed(),
      purge,
    ).option('--dry-run', 'only count what would be removed'),
  );
  add<S3Uri | undefined, CareCommandOptions>(
    'pin',
    'keep a bucket or prefix from being evicted, within cache.pin_percent of the cache',
    or('lists what is pinned'),
    pin,
  );
  add<S3Uri, CareCommandOptions>('unpin', 'take a pin back', needed(), unpin);
  offline(
    withSettingsOptions(
      program.command('verify').description('read all that is cached, check it, and repair what can be'),
    )
      .action(async (options: VerifyOptions) => onCode(await verify(options, io)))
      .option('--from-start', 'not from where an earlier one was stopped')
      .option('--json', 'one JSON object a line, for programs'),
  );
}

function offline(command: Command): void {
  command.option('--offline <folder>', 'work on this cache folder without asking a proxy');
}
