import { join } from 'node:path';
import { ALICE } from '../origin/index.ts';
import { requireTool } from '../tools/index.ts';
import type { Place } from './places.ts';
import { succeed } from './run.ts';

/** Runs rclone in the place's folder and answers what it printed. */
export function rclone(place: Place, ...args: readonly string[]): Promise<string> {
  return succeed(requireTool('rclone'), [...rcloneOptions(place), ...args], {
    env: place.proxyVariables,
    cwd: place.folder,
  });
}

/** Flags for the place. Go programs never send loopback addresses to a proxy, so path-style goes by name here, too. */
export function rcloneOptions(place: Place): string[] {
  const endpoint = place.proxyUrl === undefined ? place.endpoint : 'http://s3.cistern.test';
  return [
    ...['--config', join(place.folder, 'rclone.conf'), '--retries', '1', '--low-level-retries', '1'],
    ...['--s3-provider', 'Other', '--s3-endpoint', endpoint, '--s3-region', 'us-east-1'],
    ...['--s3-access-key-id', ALICE.accessKeyId, '--s3-secret-access-key', ALICE.secretAccessKey],
    `--s3-force-path-style=${place.way.style === 'path'}`,
  ];
}
