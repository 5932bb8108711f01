import { onTestFinished, vi } from 'vitest';
import { Volume } from '../../proxy-core/store/disk/volume.ts';

export type Operation = 'open' | 'stat' | 'mkdir' | 'writeFile' | 'link' | 'readFile' | 'statfs';

/** Every volume made from now on fails at these operations, or hangs where there is no error, until `mend`. */
export function harm(operations: readonly Operation[], fails?: (path: string) => NodeJS.ErrnoException | undefined) {
  let mend = () => {};
  const mended = new Promise<void>(resolve => {
    mend = resolve;
  });
  const spies = operations.map(operation => {
    const real = Volume.prototype[operation] as (...args: unknown[]) => Promise<unknown>;
    return vi.spyOn(Volume.prototype, operation).mockImplementation(async function (this: Volume, ...args: unknown[]) {
      const error = fails?.(String(args[0]));
      if (error) throw error;
      // As a thread that is stuck in the kernel: the deadline passes, the operation comes back in the end.
      if (!fails) await this.run<void>(done => void mended.then(() => done(null)));
      return real.apply(this, args);
    } as never);
  });
  const end = () => {
    for (const spy of spies) spy.mockRestore();
    mend();
  };
  onTestFinished(end);
  return { mend: end };
}

/** An error with a code, as the system gives it. */
export const system = (code: string) =>
  Object.assign(new Error(`${code}: as the system says it, open '/x'`), { code, errno: -9999, syscall: 'open' });
