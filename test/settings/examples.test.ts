import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BucketSettings, defaultSettings, loadSettings } from '../../proxy-core/settings/index.ts';

const checkout = fileURLToPath(new URL('../../', import.meta.url));
const examples = join(checkout, 'examples');
const person = { home: '/home/ada', platform: 'linux', env: {}, cwd: '/project' } as const;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cistern-examples-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test.each(['quickstart.yaml', 's3-compatible.yaml', 'privatelink.yaml'])(
  'the example %s loads without a warning and changes something',
  async name => {
    const { settings, warnings } = await loadSettings({ ...person, file: join(examples, name) });
    expect(warnings).toEqual([]);
    expect(settings).not.toEqual(defaultSettings({}, person));
  },
);

test.each([
  ['static-assets.json', 'assets/app.js', { get_ttl: 30 * 86_400_000, compression_enabled: true }],
  ['static-assets.json', 'assets/images/a.webp', { get_ttl: 30 * 86_400_000, compression_enabled: false }],
  ['static-assets.json', 'index.html', { get_ttl: 86_400_000 }],
  ['zero-ttl.json', 'anything', { get_ttl: 0, head_ttl: 0, read_cache_enabled: true }],
  ['no-cache-prefix.json', 'scratch/a', { read_cache_enabled: false, write_cache_enabled: false }],
  ['no-cache-prefix.json', 'kept/a', { read_cache_enabled: true, write_cache_enabled: true }],
])('the bucket settings %s give %s what they promise', async (name, key, expected) => {
  const bucket = join(folder, 'buckets', 'data');
  await mkdir(bucket, { recursive: true });
  await copyFile(join(examples, 'bucket-settings', name), join(bucket, '_settings.json'));
  const settings = new BucketSettings(defaultSettings({ cache: { cache_dir: folder } }));
  await settings.prepare('data');
  expect(settings.problems()).toEqual([]);
  expect(settings.resolve('data', key)).toMatchObject(expected);
});

test('every example is named in the README of the examples', async () => {
  const readme = await readFile(join(examples, 'README.md'), 'utf8');
  const files = (await readdir(examples, { recursive: true })).filter(name => /\.(json|yaml)$/.test(name));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) expect(readme).toContain(`(${file.replaceAll('\\', '/')})`);
});

test('the generated pages are what the code says', () => {
  const args = ['--import', 'tsx', 'scripts/generate-docs.ts', '--check'];
  expect(execFileSync(process.execPath, args, { cwd: checkout, encoding: 'utf8' })).toBe('');
});
