import { execFile } from 'node:child_process';
import { join } from 'node:path';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** latin1 keeps bytes as they are */
  readonly encoding?: 'utf8' | 'latin1';
}

/** Runs a program to its end. No variable of the person's own reaches it, nor their AWS configuration. */
export function run(
  program: string,
  args: readonly string[],
  { cwd, env, encoding = 'utf8' }: RunOptions,
): Promise<Ran> {
  const { PATH = '', HOME = cwd } = process.env;
  const none = join(cwd, 'none');
  const own = {
    PATH,
    HOME,
    LANG: 'C.UTF-8',
    AWS_CONFIG_FILE: none,
    AWS_SHARED_CREDENTIALS_FILE: none,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  return new Promise(resolve => {
    const options = { cwd, env: { ...own, ...env }, encoding, maxBuffer: 64 * 2 ** 20, timeout: 110_000 };
    execFile(program, [...args], options, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : -1) : 0;
      resolve({ code, stdout, stderr: code === -1 ? `${stderr}\n${error?.message}` : stderr });
    });
  });
}

/** The same, and its output; throws with what it said when it failed. */
export async function succeed(...args: Parameters<typeof run>): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  if (code !== 0) throw new Error(`${args[0]} ${args[1].join(' ')} ended with ${code}:\n${stderr}\n${stdout}`);
  return stdout;
}
