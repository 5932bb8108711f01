import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ALICE } from '../origin/index.ts';
import { requireTool } from '../tools/index.ts';
import type { Place } from './places.ts';
import { type RunOptions, succeed } from './run.ts';

/** Runs the AWS CLI in the place's folder and answers what it printed. */
export async function aws(place: Place, ...args: readonly string[]): Promise<string> {
  return succeed(requireTool('aws'), args, await awsOptions(place));
}

/** The place's proxy, endpoint and addressing style, as variables and a configuration file. */
export async function awsOptions(place: Place): Promise<RunOptions> {
  const config = join(place.folder, 'aws-config');
  const style = place.way.style === 'path' ? 'path' : 'virtual';
  await writeFile(
    config,
    `[default]\nregion = us-east-1\ns3 =\n  addressing_style = ${style}\n  signature_version = s3v4\n`,
  );
  const env = {
    ...place.proxyVariables,
    AWS_CONFIG_FILE: config,
    AWS_ACCESS_KEY_ID: ALICE.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ALICE.secretAccessKey,
    AWS_ENDPOINT_URL_S3: place.endpoint,
  };
  return { env, cwd: place.folder };
}
