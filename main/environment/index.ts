export { findRegion, isRegion, regionOfProfile } from './region.ts';
export { guessShell, SHELLS, type Shell, shellComment, shellLines, shellUse } from './shells.ts';
export { endpointOf, type Variables, variables } from './variables.ts';
