import {
  findRegion,
  guessShell,
  isRegion,
  type Shell,
  shellComment,
  shellLines,
  shellUse,
  variables,
} from '../environment/index.ts';
import { FAILED, type Io, OK, USAGE } from './io.ts';
import { SETTINGS_WRONG, type SettingsOptions, settingsFrom } from './settings-options.ts';
import { reachable } from './url.ts';

export interface EnvOptions extends SettingsOptions {
  readonly shell?: Shell;
  readonly region?: string;
}

/** `cistern env`: the lines that point a shell's AWS tools at the proxy. */
export async function env(options: EnvOptions, io: Io): Promise<number> {
  if (options.region !== undefined && !isRegion(options.region)) {
    io.err(`cistern: --region: ${JSON.stringify(options.region)} is no Region; allowed: a name such as eu-central-1`);
    return USAGE;
  }
  const loaded = await settingsFrom(options, io);
  if (!loaded) return SETTINGS_WRONG;
  const { bind_address, proxy_port } = loaded.settings.server;
  if (proxy_port === 0) {
    io.err('cistern: server.proxy_port is 0 (any free port); give the port that `cistern serve` printed with --port.');
    return FAILED;
  }
  const shell = options.shell ?? guessShell(io.env, io.platform);
  io.out(shellComment(shell, `To use these lines in an open shell: ${shellUse(shell)}`));
  for (const line of await pasteLines(reachable(bind_address, proxy_port), shell, io, options.region)) io.out(line);
  return OK;
}

/** The lines for a shell, with a comment instead of the endpoint where the Region isn't known. */
export async function pasteLines(proxy: string, shell: Shell, io: Io, given?: string): Promise<string[]> {
  const region = given ?? (await findRegion(io.env, io.home));
  const lines = shellLines(shell, variables({ proxy, region, env: io.env }));
  if (region !== undefined) return lines;
  return [
    ...lines,
    shellComment(
      shell,
      'Still missing: the Region of your buckets. Set AWS_REGION, or use `cistern env --region NAME`, for',
    ),
    shellComment(shell, 'AWS_ENDPOINT_URL_S3=http://s3.REGION.amazonaws.com'),
  ];
}
