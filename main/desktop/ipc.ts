import type { StatusSnapshot } from '../../proxy-core/admin/index.ts';

/** What the app knows of the core that it hosts. */
export type CoreState =
  | { readonly phase: 'starting' }
  | { readonly phase: 'serving' }
  /** It ended or would not start, and is started again in `retry_in_ms`. `reason` is for a person. */
  | { readonly phase: 'down'; readonly reason: string; readonly retry_in_ms: number }
  | { readonly phase: 'stopping' };

export interface CoreStatus {
  readonly core: CoreState;
  /** The last that the core told; null until it told the first. */
  readonly snapshot: StatusSnapshot | null;
}

export interface DesktopStatus extends CoreStatus {
  /** What a person pastes into a shell; empty until the core serves. */
  readonly shell_lines: readonly string[];
}

/** Calls from the window to the main process. With {@link Pushes} this is every channel there is. */
export interface Calls {
  'status:get': () => DesktopStatus;
}

/** Messages from the main process to the window. */
export interface Pushes {
  'status:changed': DesktopStatus;
}

/** What the preload script puts on the page as `window.cistern`. */
export interface Bridge {
  status(): Promise<DesktopStatus>;
  /** Calls `listener` at every change; the function returned ends it. */
  onStatus(listener: (status: DesktopStatus) => void): () => void;
}
