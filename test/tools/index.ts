import { describe, it } from 'vitest';
import { lookUp, type Tool } from './look-up.ts';

export { requireTool, sftpServer, type Tool } from './look-up.ts';

// CISTERN_… variables are settings to every cistern that a test starts: this one is no setting, so it stays here.
const forbidSkips = process.env.CISTERN_FORBID_SKIPS === '1';
delete process.env.CISTERN_FORBID_SKIPS;

/**
 * A `describe` that needs tools. Without them it is skipped, saying which and why; with CISTERN_FORBID_SKIPS=1 that is a
 * failure, so that nothing is left out unnoticed where everything has been installed.
 */
export function describeWith(tools: Tool | readonly Tool[], title: string, define: () => void): void {
  const missing = [tools].flat().flatMap(tool => {
    const result = lookUp(tool as Tool);
    return 'missing' in result ? [`${tool}: ${result.missing}`] : [];
  });
  if (missing.length === 0) {
    describe(title, define);
  } else if (forbidSkips) {
    describe(title, () => {
      it('has its tools', () => {
        throw new Error(`Nothing may be skipped here, and there is no ${missing.join('; no ')}`);
      });
    });
  } else {
    describe.skip(`${title} [skipped, no ${missing.join('; no ')}]`, define);
  }
}
