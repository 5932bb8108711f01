import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The person's Region as the AWS CLI finds it: environment, else the profile in the AWS config file; else undefined. */
export async function findRegion(
  env: Readonly<Record<string, string | undefined>>,
  home: string,
): Promise<string | undefined> {
  const told = env.AWS_REGION || env.AWS_DEFAULT_REGION;
  if (told) return isRegion(told) ? told : undefined;
  const file = env.AWS_CONFIG_FILE?.replace(/^~(?=[/\\])/, home) || join(home, '.aws', 'config');
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return '';
    throw new Error(`the AWS config file ${file} can't be read: ${error.message}`);
  });
  const region = regionOfProfile(text, env.AWS_PROFILE || env.AWS_DEFAULT_PROFILE || 'default');
  return region && isRegion(region) ? region : undefined;
}

/** The printed lines are evaluated by a shell, so nothing but a name goes into them. */
export const isRegion = (text: string): boolean => /^[a-z]{2,}(-[a-z]+)+-\d{1,2}$/.test(text);

/** The `region` of a profile in the text of an AWS config file (sections `[default]` and `[profile name]`). */
export function regionOfProfile(text: string, profile: string): string | undefined {
  let inside = false;
  let region: string | undefined;
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[\s*(?:profile\s+)?(?:"([^"]*)"|'([^']*)'|([^\]]*?))\s*\]/.exec(line);
    if (section) inside = (section[1] ?? section[2] ?? section[3]) === profile;
    // Nested values (`s3 =` with indented lines under it) are indented, settings of the profile are not.
    const setting = inside ? /^region\s*=\s*(\S+)\s*(?:[#;].*)?$/.exec(line) : null;
    if (setting) region = setting[1];
  }
  return region;
}
