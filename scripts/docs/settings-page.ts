import {
  BucketSettingsSchema,
  KEYS,
  LIVE,
  OTHER_VARIABLES,
  REFERENCE_KEYS,
  SettingsSchema,
} from '../../proxy-core/settings/index.ts';
import { table } from './markdown.ts';

export function settingsPage(): string {
  return `<!-- Generated from proxy-core/settings by scripts/generate-docs.ts. Change it there. -->

# Settings

A setting comes from the first of these that names it:

1. a flag: \`--port\`, \`--cache-dir\`, or \`--set cache.get_ttl=5m\` for any setting,
2. a variable of the environment: \`CISTERN_\`, group and key in capitals, as in \`CISTERN_CACHE_GET_TTL=5m\`; lists and maps are
   written as JSON or YAML,
3. the file given by \`--config\` (or \`CISTERN_CONFIG\`), YAML or JSON,
4. its default.

An unknown key or variable, or a value that is not allowed, stops the start with a line for each that names file, line, key,
value and what is allowed (exit code 2). For completion and checks in an editor, begin a YAML file with
\`# yaml-language-server: $schema=<path of docs/settings.schema.json>\`.

Durations are \`500ms\`, \`30s\`, \`5m\`, \`1h\`, \`7d\`, or a bare number of seconds; fractions such as \`1.5h\` are fine. Sizes are bytes,
or \`500MB\` (powers of 1000) and \`10GiB\` (powers of 1024). \`~/\` is your home folder, and a relative path starts at the folder
Cistern is started in.

The file is followed while Cistern runs: within about a second of a change those settings act that are marked **live** below, and
\`cistern status\` names the others, which act after a restart. A file that makes no sense leaves the last good settings in force,
and shows as a problem, with file, line, key and value. Variables and flags hold as they were at the start, and go before the
file. Bucket settings (below) are followed, too.

${groups()}
## Bucket settings

\`<cache_dir>/buckets/<bucket>/_settings.json\` sets some things apart for a bucket, and in it for prefixes of keys (for a bucket
of an S3-compatible store the folder is \`<bucket>@<host>:<port>\`):

\`\`\`json
{
  "get_ttl": "5m",
  "prefix_overrides": [
    { "prefix": "reference/", "get_ttl": "7d" },
    { "prefix": "scratch/", "read_cache_enabled": false, "write_cache_enabled": false }
  ]
}
\`\`\`

For each object the longest matching prefix counts, with or without its leading slash; what it does not say comes from the
bucket, and then from the settings above. A changed file is in force within seconds, also for what is already cached. An
invalid file leaves the last good one in force and shows as a problem in \`cistern status\`; where there is none, or the file
can't be read in time, the bucket is passed through uncached, since the file might have said so.

${table(['Key', 'What it does'], bucketKeys())}
More in [examples/bucket-settings](../examples/bucket-settings).

## Other variables

${table(
  ['Variable', 'What it is'],
  Object.entries(OTHER_VARIABLES).map(([name, text]) => [`\`${name}\``, text]),
)}
## Keys of the reference

Files of [sample-s3-hybrid-cache](https://github.com/aws-samples/sample-s3-hybrid-cache) start Cistern. These of its keys have no
effect here, or not yet; where one asks for something that Cistern does not do, a warning at the start says why.

${table(
  ['Key', 'Why it has no effect'],
  [...REFERENCE_KEYS].map(([path, { why }]) => [`\`${path}\``, why]),
)}`;
}

function groups(): string {
  return Object.entries(SettingsSchema.properties)
    .map(([name, group]) => {
      const keys = [...KEYS.values()].filter(({ path }) => path.startsWith(`${name}.`));
      const rows = keys.map(({ path, leaf, description }) => [
        `\`${path.slice(name.length + 1)}\``,
        leaf.default === undefined ? 'see there' : standard(leaf.default),
        leaf.brief ?? leaf.allowed,
        `${description}${LIVE.has(path) ? ' **Live.**' : ''}`,
      ]);
      return `## ${name}\n\n${group.description ?? ''}\n\n${table(['Key', 'Default', 'Allowed', 'What it does'], rows)}\n`;
    })
    .join('');
}

function bucketKeys(): string[][] {
  return Object.entries(BucketSettingsSchema.properties)
    .filter(([name]) => name !== '$schema' && name !== 'prefix_overrides')
    .map(([name, schema]) => [`\`${name}\``, schema.description ?? '']);
}

function standard(value: unknown): string {
  if (value === '') return 'none';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}
