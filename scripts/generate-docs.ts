import { readFile, writeFile } from 'node:fs/promises';
import type { TSchema } from '@sinclair/typebox';
import { BucketSettingsSchema, leafOf, SettingsSchema } from '../proxy-core/settings/index.ts';
import { errorsPage } from './docs/errors-page.ts';
import { settingsPage } from './docs/settings-page.ts';

/**
 * Writes the reference pages that follow from the code: `npm run docs`. With `--check` (`npm run docs:check`, in CI) it only
 * compares, and ends with 1 when a page is not what the code says.
 */
const DRAFT = 'http://json-schema.org/draft-07/schema#';
const pages: Readonly<Record<string, string>> = {
  'docs/settings.md': settingsPage(),
  'docs/settings.schema.json': json({ $schema: DRAFT, ...partial(SettingsSchema) }),
  'docs/bucket-settings.schema.json': json({ $schema: DRAFT, ...BucketSettingsSchema }),
  'docs/errors.md': errorsPage(),
};

const check = process.argv.includes('--check');
for (const [name, text] of Object.entries(pages)) {
  const file = new URL(`../${name}`, import.meta.url);
  if (!check) await writeFile(file, text);
  else if ((await readFile(file, 'utf8').catch(() => undefined)) !== text) {
    console.error(`${name} is not what the code says: run npm run docs and commit it.`);
    process.exitCode = 1;
  }
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** After reading, every setting is there; in a file, each may be left out. */
function partial(schema: TSchema): object {
  if (leafOf(schema)) return schema;
  const { required: _, properties, ...rest } = schema;
  const inner = Object.entries(properties as Record<string, TSchema>).map(([name, one]) => [name, partial(one)]);
  return { ...rest, properties: Object.fromEntries(inner) };
}
