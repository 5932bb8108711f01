/** One thing that is wrong with the settings, or one that a person should know of. */
export interface Problem {
  /** Where it was said: `quickstart.yaml:6:12`, `CISTERN_CACHE_GET_TTL`, `--port`. */
  readonly where: string;
  /** Dotted path of the setting; empty when the whole file is concerned. */
  readonly path: string;
  readonly message: string;
}

export const problemLine = ({ where, path, message }: Problem): string => `${where}: ${path && `${path}: `}${message}`;

/** All that is wrong with the settings, so that a person can put it right in one go. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(problemLine).join('\n'));
    this.problems = problems;
  }
}

/** A value as it is repeated in a message: short, on one line. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
