import type { Entry } from './entry.ts';
import { KEYS, variableOf } from './leaves.ts';
import type { Problem } from './problem.ts';
import { REFERENCE_KEYS } from './reference-keys.ts';
import { suggest } from './suggest.ts';

/** Variables named CISTERN_… that are no settings. */
export const OTHER_VARIABLES: Readonly<Record<string, string>> = {
  CISTERN_CONFIG: 'Settings file that `cistern serve` and `npm start` read when no `--config` is given.',
  CISTERN_ELECTRON: 'Path of an Electron executable that `npm start` uses instead of the one in `node_modules`.',
  CISTERN_CMD: 'Command by which the comparison benchmark starts Cistern.',
};

// What Kubernetes sets in every container beside a Service that is named `cistern`.
const KUBERNETES = /^CISTERN_(SERVICE_(HOST|PORT)|PORT)(_|$)/;

const PATHS: ReadonlyMap<string, string> = new Map(
  [...KEYS.keys(), ...REFERENCE_KEYS.keys()].map(path => [variableOf(path), path]),
);

/** Settings of the environment. An unknown CISTERN_ variable is a problem: a slip of the pen must not go unnoticed. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): {
  entries: Entry[];
  problems: Problem[];
} {
  const entries: Entry[] = [];
  const problems: Problem[] = [];
  for (const [name, raw] of Object.entries(env)) {
    if (raw === undefined || !name.startsWith('CISTERN_') || name in OTHER_VARIABLES || KUBERNETES.test(name)) continue;
    const path = PATHS.get(name);
    if (path) entries.push({ path, raw, source: 'environment', where: name });
    else {
      const nearest = suggest(name, PATHS.keys());
      const hint = nearest
        ? `did you mean ${nearest}?`
        : 'settings are named CISTERN_<GROUP>_<KEY>, see docs/settings.md';
      problems.push({ where: name, path: '', message: `unknown variable; ${hint}` });
    }
  }
  return { entries, problems };
}
