import { homedir } from 'node:os';
import { findRegion, guessShell, shellComment, shellLines, variables } from '../environment/index.ts';

/** What a person pastes into their shell so that its S3 tools use the proxy at `address`. */
export async function pasteLines(address: string): Promise<string[]> {
  const { env, platform } = process;
  const shell = guessShell(env, platform);
  const region = await findRegion(env, homedir());
  const proxy = `http://${address.replace(/^(0\.0\.0\.0|\[::\]):/, 'localhost:')}`;
  const lines = shellLines(shell, variables({ proxy, region, env }));
  if (region !== undefined) return lines;
  return [
    ...lines,
    shellComment(shell, "and AWS_ENDPOINT_URL_S3=http://s3.REGION.amazonaws.com with your buckets' Region"),
  ];
}
