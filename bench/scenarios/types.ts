import type { Row } from '../figures.ts';
import type { Stage } from '../stage.ts';

export interface Scenario {
  readonly name: string;
  /** Proxy on one core, load and origin on another. Otherwise the kernel places them. */
  readonly pinned: boolean;
  readonly ramMiB: number;
  readonly run: Run;
}

/** Most lines are measured for so many seconds. */
export type Run = (stage: Stage, seconds: number) => Promise<Row[]>;
