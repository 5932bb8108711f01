import { setFlagsFromString } from 'node:v8';

/**
 * From now on V8 compiles functions when they are first called (its baseline compiler, Sparkplug), instead of interpreting them
 * until they have been called often: a process's first requests cost less, a herd's above all (docs/performance.md, S6). To be
 * called when it has started, so that what runs once at the start is not compiled for nothing.
 */
export function compileAtFirstCall(): void {
  setFlagsFromString('--always-sparkplug');
}
