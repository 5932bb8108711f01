import type { StatusSnapshot } from '../../proxy-core/admin/index.ts';

/** What the core is started with. */
export interface StartOptions {
  /** A settings file, YAML or JSON; absent where the person has none. */
  readonly settingsFile?: string;
  /** The built web UI, for the dashboard's port. */
  readonly rendererDir: string;
}

/** From the app to the core's process. */
export type ToCore = { readonly type: 'start'; readonly options: StartOptions } | { readonly type: 'stop' };

/** From the core's process to the app. The first snapshot says that it serves. */
export type FromCore =
  | { readonly type: 'snapshot'; readonly snapshot: StatusSnapshot }
  /** It can't start, or met an error that it can't go on from; it waits to be ended. */
  | { readonly type: 'failed'; readonly reason: string };
