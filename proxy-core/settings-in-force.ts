import type { Log, Problems } from './observe/index.ts';
import { planChange, type Settings, type SettingsChange } from './settings/index.ts';

export interface SettingsInForceOptions {
  readonly settings: Settings;
  /** What their reader had to remark. */
  readonly notices?: readonly string[] | undefined;
  readonly problems: Pick<Problems, 'state'>;
  readonly log: Pick<Log, 'info' | 'setLevel'>;
  /** Other ones are in force now. */
  readonly onChange: (settings: Settings) => void;
}

/** The settings of a running proxy: what can change while it runs does, at once; what can't is named among the problems. */
export class SettingsInForce {
  readonly #options: SettingsInForceOptions;
  #settings: Settings;
  #notices: readonly string[];

  constructor(options: SettingsInForceOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#notices = options.notices ?? [];
  }

  get now(): Settings {
    return this.#settings;
  }

  get notices(): readonly string[] {
    return this.#notices;
  }

  /** @param wanted all of them, as they should be */
  apply(wanted: Settings, notices: readonly string[] = this.#notices): SettingsChange {
    const { problems, log, onChange } = this.#options;
    const change = planChange(this.#settings, wanted);
    this.#notices = notices;
    this.#settings = change.settings;
    log.setLevel(this.#settings.logging.log_level);
    onChange(this.#settings);
    problems.state('settings', undefined);
    problems.state(
      'restart',
      change.restart.length === 0
        ? undefined
        : `a restart is needed for what has changed of ${change.restart.join(', ')}`,
    );
    if (change.applied.length > 0) log.info(`settings changed: ${change.applied.join(', ')}`);
    return change;
  }

  /** Others were to be applied and make no sense: shown as a problem, until some are applied. */
  refuse(why: string): void {
    this.#options.problems.state('settings', `the last good settings stay in force: ${why}`);
  }
}
