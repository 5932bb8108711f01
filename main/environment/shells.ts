import type { Variables } from './variables.ts';

export const SHELLS = ['sh', 'fish', 'powershell', 'cmd'] as const;
export type Shell = (typeof SHELLS)[number];

interface Syntax {
  set(name: string, value: string): string;
  comment(text: string): string;
  /** How the lines are taken over by a shell that is open. */
  readonly use: string;
  /** Names that differ in case only are one variable there. */
  readonly caseless: boolean;
}

const SYNTAX: Readonly<Record<Shell, Syntax>> = {
  sh: {
    set: (name, value) => `export ${name}='${value.replaceAll("'", "'\\''")}'`,
    comment: text => `# ${text}`,
    use: 'eval "$(cistern env)"',
    caseless: false,
  },
  fish: {
    set: (name, value) => `set -gx ${name} '${value.replace(/['\\]/g, '\\$&')}'`,
    comment: text => `# ${text}`,
    use: 'cistern env --shell fish | source',
    caseless: false,
  },
  powershell: {
    set: (name, value) => `$env:${name} = '${value.replaceAll("'", "''")}'`,
    comment: text => `# ${text}`,
    use: 'cistern env --shell powershell | Out-String | Invoke-Expression',
    caseless: true,
  },
  cmd: {
    set: (name, value) => `set "${name}=${value}"`,
    comment: text => `rem ${text}`,
    use: 'for /f "delims=" %i in (\'cistern env --shell cmd\') do @%i',
    caseless: true,
  },
};

/** The lines that set the variables in a shell. */
export function shellLines(shell: Shell, variables: Variables): string[] {
  const { set, caseless } = SYNTAX[shell];
  return variables
    .filter(([name]) => !caseless || name === name.toUpperCase())
    .map(([name, value]) => set(name, value));
}

export const shellComment = (shell: Shell, text: string): string => SYNTAX[shell].comment(text);

export const shellUse = (shell: Shell): string => SYNTAX[shell].use;

/** The shell that most likely runs the command. */
export function guessShell(env: Readonly<Record<string, string | undefined>>, platform: NodeJS.Platform): Shell {
  if (/(^|\/)fish$/.test(env.SHELL ?? '')) return 'fish';
  if (platform !== 'win32' || env.SHELL) return 'sh';
  // cmd sets PROMPT for what it starts, PowerShell does not.
  return env.PROMPT ? 'cmd' : 'powershell';
}
