import { ERRORS } from '../../proxy-core/errors.ts';
import { table } from './markdown.ts';

export function errorsPage(): string {
  const rows = Object.entries(ERRORS).map(([code, { status, message, action }]) => [
    `\`${code}\``,
    String(status),
    message,
    action,
  ]);
  return `<!-- Generated from proxy-core/errors.ts by scripts/generate-docs.ts. Change it there. -->

# Errors that Cistern makes

Errors of S3 reach you as S3 sent them. Cistern's own have the same form, an XML body with \`Code\`, \`Message\` and \`RequestId\`,
and carry \`<HostId>cistern</HostId>\`, so that you can tell them apart.

${table(['Code', 'Status', 'What happened', 'What to do'], rows)}`;
}
