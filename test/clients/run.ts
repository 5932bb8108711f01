import { execFile } from 'node:child_process';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Its environment is what is given, PATH and locale: nothing of the person's own leaks in. */
export function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
): Promise<Ran> {
  const { PATH = '', LANG = 'C.UTF-8' } = process.env;
  return new Promise(resolve => {
    const options = { cwd, env: { PATH, LANG, HOME: cwd, ...env }, maxBuffer: 64 * 2 ** 20, timeout: 110_000 };
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
