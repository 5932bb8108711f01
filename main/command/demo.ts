import { type Core, startCore } from '../../proxy-core/core.ts';
import { defaultSettings } from '../../proxy-core/settings/index.ts';
import { runDemo } from '../demo/index.ts';
import type { Io } from './io.ts';
import { VERSION } from './version.ts';

/** `cistern demo`: sample data read through the proxy, cold and warm, from an S3 that runs in this process. */
export function demo(_options: object, io: Io): Promise<number> {
  return runDemo(
    line => io.out(line),
    async changes => {
      // The demo prints what happens; of the log only what goes wrong belongs between its lines.
      const core: Core = await startCore(
        defaultSettings({ ...changes, logging: { ...changes.logging, log_level: 'warn' } }),
        {
          version: VERSION,
        },
      );
      return { address: core.addresses.proxy, stop: () => core.stop() };
    },
  );
}
