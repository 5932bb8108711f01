import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import about from '../../package.json' with { type: 'json' };
import { Running } from './running.ts';

let home: string;
const started: Running[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cistern-command-'));
});
afterEach(async () => {
  for (const running of started.splice(0)) {
    running.process.kill('SIGKILL');
    await running.exit;
  }
  await rm(home, { recursive: true, force: true });
});

function cistern(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const running = new Running(args, home, env);
  started.push(running);
  return running;
}

async function finished(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const running = cistern(args, env);
  const { code } = await running.exit;
  return { code, out: running.out, err: running.err };
}

describe('the command line', () => {
  test('--version is the version', async () => {
    expect(await finished(['--version'])).toEqual({ code: 0, out: `${about.version}\n`, err: '' });
  });

  test('--help names every command', async () => {
    const { code, out } = await finished(['--help']);
    expect(code).toBe(0);
    for (const name of ['serve', 'env', 'status', 'ls', 'purge', 'pin', 'unpin', 'verify', 'demo'])
      expect(out).toMatch(new RegExp(`^ {2}${name} `, 'm'));
  });

  test.each([
    [['serv'], /unknown command 'serv'.*\n.*Did you mean serve\?/],
    [[], /Usage: cistern/],
    [['serve', '--prot', '1'], /unknown option '--prot'/],
    [['serve', 'now'], /too many arguments/],
    [['serve', '--set', 'cache.get_ttl'], /It must be key=value/],
    [['env', '--shell', 'csh'], /Allowed choices are sh, fish, powershell, cmd/],
    [['env', '--region', "x'y"], /--region: "x'y" is no Region/],
  ])('%j is wrong usage', async (args, message) => {
    const { code, out, err } = await finished(args);
    expect(err).toMatch(message);
    expect({ code, out }).toEqual({ code: 2, out: '' });
  });

  test('settings that are wrong are all named, by file, variable and flag', async () => {
    await writeFile(join(home, 'c.yaml'), 'cache:\n  get_ttl: soon\n');
    const flags = ['-c', 'c.yaml', '--port', '99999', '--set', 'cache.get_tll=5m'];
    for (const command of ['serve', 'env', 'status']) {
      const { code, err } = await finished([command, ...flags], { CISTERN_CACHE_AUTHORIZATION: 'nobody' });
      expect(code).toBe(2);
      expect(err).toMatch(/^cistern: c\.yaml:2:3: cache\.get_ttl: "soon" is not allowed; allowed: a duration/m);
      expect(err).toMatch(
        /^cistern: CISTERN_CACHE_AUTHORIZATION: cache\.authorization: "nobody" .* caller or shared$/m,
      );
      expect(err).toMatch(/^cistern: --port: server\.proxy_port: "99999" is not allowed; allowed: a whole number/m);
      expect(err).toMatch(/^cistern: --set: cache\.get_tll: unknown key; did you mean cache\.get_ttl\?$/m);
    }
  });
});

describe('env', () => {
  test('prints the lines for a shell, with the port of the settings', async () => {
    await writeFile(join(home, 'c.yaml'), 'server: { proxy_port: 4000, bind_address: 0.0.0.0 }');
    const { code, out } = await finished(['env', '-c', 'c.yaml', '--region', 'eu-west-1']);
    expect(code).toBe(0);
    expect(out).toContain("export HTTP_PROXY='http://127.0.0.1:4000'\n");
    expect(out).toContain("export AWS_ENDPOINT_URL_S3='http://s3.eu-west-1.amazonaws.com'\n");
  });

  test('takes the settings file of CISTERN_CONFIG', async () => {
    await writeFile(join(home, 'c.yaml'), 'server: { proxy_port: 4001 }');
    const { out } = await finished(['env', '--shell', 'powershell'], {
      CISTERN_CONFIG: 'c.yaml',
      AWS_REGION: 'us-east-1',
    });
    expect(out).toContain("$env:HTTP_PROXY = 'http://127.0.0.1:4001'\n");
    expect(out).toContain("$env:AWS_ENDPOINT_URL_S3 = 'http://s3.us-east-1.amazonaws.com'\n");
  });

  test('says what is missing where the Region is unknown', async () => {
    const { code, out } = await finished(['env']);
    expect(code).toBe(0);
    expect(out).toMatch(/^# Still missing: the Region/m);
    expect(out).not.toMatch(/^export AWS_ENDPOINT_URL_S3/m);
  });

  test('cannot know the port where it is any free one', async () => {
    expect(await finished(['env', '--port', '0'])).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('--port'),
    });
  });
});
