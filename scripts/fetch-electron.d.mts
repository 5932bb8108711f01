/** The version that is fetched. */
export const ELECTRON_VERSION: string;
/** The folder that holds (or will hold) the fetched Electron. */
export function electronFolder(): string;
/** The fetched executable, or undefined when it has not been fetched. */
export function fetchedElectron(): string | undefined;
/** Fetches Electron unless it is there already; answers the executable's path. */
export function fetchElectron(): Promise<string>;
