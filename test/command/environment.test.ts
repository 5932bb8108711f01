import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findRegion, guessShell, regionOfProfile, shellLines, variables } from '../../main/environment/index.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cistern-home-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const DIRECT = '169.254.169.254,169.254.170.2,localhost,127.0.0.1';

describe('the Region', () => {
  const config =
    '[default]\nregion = eu-west-1\n\n[profile "lab"]\noutput=json\ns3 =\n  region = nested-1\nregion=us-west-2 # ours\n[profile empty]\n';

  test('comes from AWS_REGION, AWS_DEFAULT_REGION, then the profile in the config file', async () => {
    await mkdir(join(home, '.aws'));
    await writeFile(join(home, '.aws', 'config'), config);
    expect(await findRegion({ AWS_REGION: 'ap-south-1', AWS_DEFAULT_REGION: 'x' }, home)).toBe('ap-south-1');
    expect(await findRegion({ AWS_DEFAULT_REGION: 'us-gov-west-1' }, home)).toBe('us-gov-west-1');
    expect(await findRegion({}, home)).toBe('eu-west-1');
    expect(await findRegion({ AWS_PROFILE: 'lab' }, home)).toBe('us-west-2');
    expect(await findRegion({ AWS_DEFAULT_PROFILE: 'lab' }, home)).toBe('us-west-2');
    expect(await findRegion({ AWS_PROFILE: 'empty' }, home)).toBeUndefined();
    await writeFile(join(home, 'other'), '[default]\nregion = ca-central-1\n');
    expect(await findRegion({ AWS_CONFIG_FILE: join(home, 'other') }, home)).toBe('ca-central-1');
  });

  test('is unknown without any of them', async () => expect(await findRegion({}, home)).toBeUndefined());

  test('is unknown where it is no name, since a shell evaluates the lines', async () => {
    expect(await findRegion({ AWS_REGION: "x'; rm -rf ~; '" }, home)).toBeUndefined();
    expect(await findRegion({ AWS_REGION: '$(id)-1' }, home)).toBeUndefined();
  });

  test('of a config file that has no such profile is unknown', () => {
    expect(regionOfProfile(config, 'nobody')).toBeUndefined();
    expect(regionOfProfile('', 'default')).toBeUndefined();
  });
});

describe('the variables', () => {
  const of = (region?: string, env = {}) =>
    Object.fromEntries(variables({ proxy: 'http://127.0.0.1:3128', region, env }));

  test('name the proxy, what is reached directly, and the endpoint of the Region over plain HTTP', () => {
    expect(of('eu-central-1')).toEqual({
      HTTP_PROXY: 'http://127.0.0.1:3128',
      http_proxy: 'http://127.0.0.1:3128',
      NO_PROXY: DIRECT,
      no_proxy: DIRECT,
      AWS_ENDPOINT_URL_S3: 'http://s3.eu-central-1.amazonaws.com',
    });
  });

  test('name no endpoint where the Region is unknown', () => expect(of()).not.toHaveProperty('AWS_ENDPOINT_URL_S3'));

  test('name the endpoint of China for its Regions', () => {
    expect(of('cn-north-1').AWS_ENDPOINT_URL_S3).toBe('http://s3.cn-north-1.amazonaws.com.cn');
  });

  test('keep what the person reaches directly already, once, and drop what is no host', () => {
    expect(of('us-east-1', { NO_PROXY: `intranet.example, .corp,${DIRECT},$(id)` }).NO_PROXY).toBe(
      `${DIRECT},intranet.example,.corp`,
    );
  });
});

describe('the lines', () => {
  const pairs = [
    ['HTTP_PROXY', 'http://127.0.0.1:3128'],
    ['http_proxy', 'http://127.0.0.1:3128'],
    ['ODD', `a'b"c\\d $e \`f\``],
  ] as const;

  test('of sh give a real shell exactly these values', () => {
    const script = `${shellLines('sh', pairs).join('\n')}\nprintf '%s|%s|%s' "$HTTP_PROXY" "$http_proxy" "$ODD"`;
    expect(execFileSync('sh', ['-c', script], { env: {}, encoding: 'utf8' })).toBe(pairs.map(([, v]) => v).join('|'));
  });

  test('of the other shells quote as those do', () => {
    expect(shellLines('fish', pairs).at(-1)).toBe(`set -gx ODD 'a\\'b"c\\\\d $e \`f\`'`);
    expect(shellLines('powershell', pairs)).toEqual([
      "$env:HTTP_PROXY = 'http://127.0.0.1:3128'",
      `$env:ODD = 'a''b"c\\d $e \`f\`'`,
    ]);
    expect(shellLines('cmd', pairs)[0]).toBe('set "HTTP_PROXY=http://127.0.0.1:3128"');
  });

  test.each([
    [{ SHELL: '/usr/bin/fish' }, 'linux', 'fish'],
    [{ SHELL: '/bin/zsh' }, 'darwin', 'sh'],
    [{}, 'linux', 'sh'],
    [{ PROMPT: '$P$G' }, 'win32', 'cmd'],
    [{}, 'win32', 'powershell'],
    [{ SHELL: '/usr/bin/bash' }, 'win32', 'sh'],
  ] as const)('with %j on %s are those of %s', (env, platform, shell) => expect(guessShell(env, platform)).toBe(shell));
});
