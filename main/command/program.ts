import { Command, CommanderError, Option } from 'commander';
import { SHELLS } from '../environment/index.ts';
import { addCareCommands } from './care-commands.ts';
import { demo } from './demo.ts';
import { type EnvOptions, env } from './env.ts';
import { type Io, OK, USAGE } from './io.ts';
import { serve } from './serve.ts';
import { type SettingsOptions, withSettingsOptions } from './settings-options.ts';
import { type StatusOptions, status } from './status.ts';
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
  addCareCommands(program, io, answered => {
    code = answered;
  });
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
