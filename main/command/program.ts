import { Argument, Command, CommanderError, Option } from 'commander';
import { SHELLS } from '../environment/index.ts';
import type { CareCommandOptions } from './care-source.ts';
import { demo } from './demo.ts';
import { type EnvOptions, env } from './env.ts';
import { type Io, OK, USAGE } from './io.ts';
import { ls } from './ls.ts';
import { pin, unpin } from './pin.ts';
import { type PurgeOptions, purge } from './purge.ts';
import { type S3Uri, s3Uri } from './s3-uri.ts';
import { serve } from './serve.ts';
import { type SettingsOptions, withSettingsOptions } from './settings-options.ts';
import { type StatusOptions, status } from './status.ts';
import { type VerifyOptions, verify } from './verify.ts';
import { VERSION } from './version.ts';

/** Runs the `cistern` command line and answers its exit code: 0 well, 1 it failed, 2 it was called or set up wrongly. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  let code = OK;
  const program = new Command('cistern')
    .description('Keeps the S3 data that you read again and again on your own machine: a transparent caching proxy.')
    .version(VERSION)
    .helpCommand(false)
    .showHelpAfterError('(cistern --help tells more)')
    .configureOutput({ writeOut: text => io.out(text.trimEnd()), writeErr: text => io.err(text.trimEnd()) })
    .exitOverride()
    .addHelpText(
      'after',
      '\nWithout a command, flags are those of serve: `cistern -c FILE` is `cistern serve -c FILE`.\nExit codes: 0 all well, 1 it failed, 2 wrong usage or settings.',
    );
  const add = <T>(name: string, description: string, action: (options: T, io: Io) => Promise<number>): Command =>
    program
      .command(name)
      .description(description)
      .action(async (options: T) => {
        code = await action(options, io);
      });

  withSettingsOptions(add<SettingsOptions>('serve', 'run the proxy in this terminal', serve));
  withSettingsOptions(add<EnvOptions>('env', 'print the lines that point a shell at the proxy', env))
    .addOption(
      new Option('--shell <name>', 'whose syntax to print (default: the shell you seem to use)').choices(SHELLS),
    )
    .option('--region <name>', 'Region of the S3 endpoint (default: as the AWS CLI finds it)');
  withSettingsOptions(add<StatusOptions>('status', 'show what the running proxy does', status)).option(
    '--json',
    'as JSON, for programs',
  );
  const care = <T, O extends CareCommandOptions = CareCommandOptions>(
    name: string,
    description: string,
    action: (target: T, options: O, io: Io) => Promise<number>,
    argument: Argument,
  ): Command =>
    withSettingsOptions(
      program
        .command(name)
        .description(description)
        .addArgument(argument)
        .action(async (target: T, options: O) => {
          code = await action(target, options, io);
        }),
    )
      .option(
        '--origin <name>',
        'where the bucket lives: aws, or host:port of an S3-compatible store (default: anywhere)',
      )
      .option('--json', 'one JSON object a line, for programs');

  care<S3Uri | undefined>(
    'ls',
    'list what is cached: how much of each object, and when it was last used',
    ls,
    new Argument('[target]', 's3://bucket/prefix; without it, the buckets').argParser(s3Uri),
  );
  care<S3Uri, PurgeOptions>(
    'purge',
    'remove what is cached of a bucket or prefix; nothing changes in S3',
    purge,
    new Argument('<target>', 's3://bucket/prefix').argParser(s3Uri),
  ).option('--dry-run', 'only count what would be removed');
  care<S3Uri | undefined>(
    'pin',
    'keep a bucket or prefix from being evicted, within cache.pin_percent of the cache',
    pin,
    new Argument('[target]', 's3://bucket/prefix; without it, lists what is pinned').argParser(s3Uri),
  );
  care<S3Uri>('unpin', 'take a pin back', unpin, new Argument('<target>', 's3://bucket/prefix').argParser(s3Uri));
  withSettingsOptions(add<VerifyOptions>('verify', 'read all that is cached, check it, and repair what can be', verify))
    .option('--from-start', 'not from where an earlier one was stopped')
    .option('--json', 'one JSON object a line, for programs');
  add('demo', 'read sample data through the proxy, cold and warm; needs no AWS account', demo);

  try {
    await program.parseAsync(isServe(args) ? ['serve', ...args] : [...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? OK : USAGE;
  }
  return code;
}

/** Flags without a command in front are those of `serve`. */
function isServe([first]: readonly string[]): boolean {
  return first?.startsWith('-') === true && !['-h', '--help', '-V', '--version'].includes(first);
}
