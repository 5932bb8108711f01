import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  defaultSettings,
  KEYS,
  type LoadOptions,
  loadSettings,
  problemLine,
  REFERENCE_KEYS,
  SettingsError,
} from '../../proxy-core/settings/index.ts';

const fixtures = new URL('./fixtures/', import.meta.url).pathname;
const person = { home: '/home/ada', platform: 'linux', env: {}, cwd: '/project' } as const;
const load = (options: LoadOptions = {}) => loadSettings({ ...person, ...options });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cistern-settings-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function loadText(text: string, options: LoadOptions = {}) {
  await writeFile(join(folder, 'c.yaml'), text);
  const loaded = await load({ file: 'c.yaml', ...options, cwd: folder });
  return { ...loaded, warned: loaded.warnings.map(problemLine) };
}

async function problemsOf(promise: Promise<unknown>): Promise<string[]> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SettingsError);
  return (error as SettingsError).problems.map(problemLine);
}

describe('files of the reference', () => {
  test("the article's quick start loads unchanged, with paths from the current folder, and without a warning", async () => {
    const { settings, warnings } = await load({ file: `${fixtures}quickstart.yaml` });
    expect(warnings).toEqual([]);
    expect(settings).toEqual(
      defaultSettings(
        {
          cache: { cache_dir: '/project/tmp/cache', max_cache_size: 524_288_000 },
          logging: { access_log_dir: '/project/tmp/logs/access', app_log_dir: '/project/tmp/logs/app' },
        },
        person,
      ),
    );
  });

  test('the configuration of the comparison benchmark loads without a warning', async () => {
    const { settings, warnings } = await load({ file: `${fixtures}reference-bench.yaml` });
    expect(warnings).toEqual([]);
    expect(settings.server).toMatchObject({ proxy_port: 19_401, max_concurrent_requests: 20_000 });
    expect(settings.cache).toMatchObject({
      max_ram_cache_size: 67_108_864,
      get_ttl: 315_360_000_000,
      head_ttl: 3_600_000,
    });
    expect(settings.connection_pool.upstream_overrides).toEqual({
      '127.0.0.1:19400': { scheme: 'http', validate_tls: true },
    });
    expect([settings.health, settings.metrics, settings.dashboard].map(({ enabled }) => enabled)).toEqual([
      false,
      false,
      false,
    ]);
  });

  test('a file with every key of the reference loads; each key without an effect is warned about with its reason', async () => {
    const file = `${fixtures}reference-all-keys.yaml`;
    const { settings, warnings } = await load({ file });
    expect(settings.cache).toMatchObject({ cache_dir: '/cache', ram_cache_enabled: false, eviction_algorithm: 'lru' });
    expect(settings.cache).toMatchObject({
      write_cache_enabled: true,
      write_cache_percent: 10,
      write_cache_max_object_size: 256 * 2 ** 20,
      put_ttl: 3_600_000,
      incomplete_upload_ttl: 86_400_000,
    });
    expect(settings.connection_pool.upstream_first_byte_timeout).toBe(5_000);
    const warned = new Set(warnings.map(({ path }) => path));
    for (const [path, { silent }] of REFERENCE_KEYS) {
      expect(await readFile(file, 'utf8')).toContain(`${path.split('.').at(-1)}:`);
      if (!silent && !NULL_IN_FIXTURE.has(path)) expect(warned, path).toContain(path);
    }
    expect(warned).toContain('server.mode');
    expect(warnings.map(problemLine).join('\n')).not.toContain('secret');
    for (const path of warned) expect(KEYS.has(path), path).toBe(false);
  });

  const NULL_IN_FIXTURE = new Set([
    'server.tls.cert_path',
    'server.tls.key_path',
    'connection_pool.tcp_recv_buffer_size',
    'download_bandwidth.caller_id.validation_regex',
  ]);

  test.each([
    [
      'server: { mode: standard }',
      /c\.yaml:1:11: server\.mode: has no effect: listeners on 80, 443 and 3129 come in a later/,
    ],
    ['server: { tls: { enabled: true } }', /server\.tls\.enabled: has no effect: listeners/],
    ['cache: { ram_cache_shard_count: 8 }', /cache\.ram_cache_shard_count: has no effect: the memory tier is one/],
  ])('%s is warned about', async (text, warning) => {
    expect((await loadText(text)).warned).toEqual([expect.stringMatching(warning)]);
  });
});

describe('the number of workers', () => {
  test.each([
    ['3', 3],
    ['auto', Math.min(64, availableParallelism())],
  ])('may be %s, in a file as in a flag', async (said, workers) => {
    expect((await loadText(`server: { workers: ${said} }`)).settings.server.workers).toBe(workers);
    const flags = [{ name: '--set', path: 'server.workers', raw: said }];
    expect((await load({ flags })).settings.server.workers).toBe(workers);
  });

  test.each(['0', '65', '1.5', 'many'])('may not be %s', async said => {
    expect(await problemsOf(loadText(`server: { workers: ${said} }`))).toEqual([
      expect.stringMatching(
        /server\.workers: .* is not allowed; allowed: a whole number from 1 to 64, or auto for one for each core$/,
      ),
    ]);
  });
});

describe('order of the sources', () => {
  test('flags win over the environment, it over the file, and that over the defaults', async () => {
    const { settings, sources } = await loadText(
      'cache: { get_ttl: 1s, head_ttl: 1s, memory_budget: 32MiB }\nserver: { proxy_port: 4000 }',
      {
        env: { CISTERN_CACHE_GET_TTL: '2s', CISTERN_CACHE_HEAD_TTL: '2s' },
        flags: [{ name: '--set cache.get_ttl', path: 'cache.get_ttl', raw: '3s' }],
      },
    );
    expect(settings.cache).toMatchObject({ get_ttl: 3_000, head_ttl: 2_000, memory_budget: 32 * 2 ** 20 });
    expect(settings.server).toMatchObject({ proxy_port: 4000, max_concurrent_requests: 1000 });
    expect(sources.get('cache.get_ttl')).toEqual({ source: 'flag', where: '--set cache.get_ttl' });
    expect(sources.get('cache.head_ttl')?.source).toBe('environment');
    expect(sources.get('cache.memory_budget')).toEqual({ source: 'file', where: 'c.yaml:1:37' });
    expect(sources.has('cache.authorization')).toBe(false);
  });

  test('a bad value is a problem even where a stronger source replaces it', async () => {
    const flags = [{ name: '--port', path: 'server.proxy_port', raw: '1' }];
    expect(await problemsOf(loadText('server: { proxy_port: x }', { flags }))).toHaveLength(1);
  });

  test('every setting has a variable of its own that sets it', async () => {
    const env: Record<string, string> = {};
    for (const { variable, path, leaf } of KEYS.values()) env[variable] = SAMPLES[path] ?? other(leaf.default);
    expect(Object.keys(env)).toHaveLength(KEYS.size);
    const { settings, sources } = await load({ env });
    for (const { path } of KEYS.values()) {
      expect(sources.get(path)?.source, path).toBe('environment');
      expect(at(settings, path), path).not.toEqual(at(defaultSettings({}, person), path));
    }
  });

  const SAMPLES: Record<string, string> = {
    'server.bind_address': '0.0.0.0',
    'health.bind_address': '::1',
    'metrics.bind_address': '::1',
    'dashboard.bind_address': '::1',
    'cache.cache_dir': 'here',
    'cache.min_free_space': '1GiB',
    'cache.file_mode': 'shared',
    'cache.eviction_algorithm': 's3fifo',
    'cache.authorization': 'shared',
    'cache.max_ram_cache_size': '1GiB',
    'logging.access_log_dir': 'here',
    'logging.app_log_dir': 'here',
    'logging.access_log_mode': 'cached_only',
    'logging.log_level': 'debug',
    'connection_pool.dns_servers': '1.1.1.1, 2606:4700::1111',
    'connection_pool.endpoint_overrides': '{"*.s3.eu-west-1.amazonaws.com": ["10.0.0.1"]}',
    'connection_pool.upstream_overrides': 'minio:9000: { scheme: http }',
    'connection_pool.upstream_proxy': 'http://proxy:3128',
  };
  function other(standard: unknown): string {
    if (typeof standard === 'boolean') return String(!standard);
    if (typeof standard === 'number') return String(standard + 1);
    return String(standard).startsWith('/') ? '/other' : String(standard).replace(/^\d+/, n => String(Number(n) + 2));
  }
  const at = (tree: unknown, path: string) =>
    path.split('.').reduce<unknown>((inner, name) => (inner as Record<string, unknown>)[name], tree);
});

describe('problems', () => {
  test('all are named at once, each with file, line, column, path, value and what is allowed', async () => {
    const text =
      'cache:\n  get_ttl: 60 bananas\n  max_cache_sise: 1\nserver:\n  proxy_port: 70000\n  tsl: {}\n  speed: 1\nlogs: 1\n';
    expect(await problemsOf(loadText(text, { env: { CISTERN_CACHE_GET_TLL: '1s' } }))).toEqual([
      expect.stringMatching(
        /^c\.yaml:2:3: cache\.get_ttl: "60 bananas" is not allowed; allowed: a duration such as 500ms, .*from 0s to 3650d$/,
      ),
      'c.yaml:3:3: cache.max_cache_sise: unknown key; did you mean cache.max_cache_size?',
      'c.yaml:5:3: server.proxy_port: 70000 is not allowed; allowed: a whole number from 0 to 65535',
      'c.yaml:6:3: server.tsl: unknown key; did you mean server.tls?',
      expect.stringMatching(/^c\.yaml:7:3: server\.speed: unknown key; allowed in server: bind_address, proxy_port, /),
      expect.stringMatching(/^c\.yaml:8:1: logs: unknown key; allowed: server, cache, connection_pool, /),
      'CISTERN_CACHE_GET_TLL: unknown variable; did you mean CISTERN_CACHE_GET_TTL?',
    ]);
  });

  test.each([
    ['server: { mode: reverse }', /server\.mode: "reverse" is not allowed; allowed: proxy_only or standard/],
    ['server: { bind_address: everywhere }', /an IP address of this machine/],
    ['server: 3128', /server: is not allowed here; allowed: a group of settings/],
    ['- 1', /c\.yaml:1:1: is not allowed here/],
    ['cache: { get_ttl: -1s }', /"-1s" is not allowed/],
    ['cache: { get_ttl: 11y }', /"11y" is not allowed/],
    ['cache: { max_cache_size: 10 }', /at least 1MiB, or 0/],
    ['cache: { min_free_space: 100% }', /a share of the volume such as 5%/],
    ['cache: { ram_cache_enabled: "true" }', /allowed: true or false/],
    ['cache: { write_cache_percent: 101 }', /a number from 0 to 100/],
    ['cache: { write_cache_percent: 10% }', /a number from 0 to 100/],
    ['cache: { eviction_algorithm: fifo }', /allowed: tinylfu, lru or s3fifo/],
    ['cache: { cache_dir: "" }', /the path of a folder/],
    ['connection_pool: { dns_servers: [localhost] }', /a list of IP addresses/],
    ['connection_pool: { endpoint_overrides: { "*foo": ["10.0.0.1"] } }', /a host name or \*\.suffix/],
    ['connection_pool: { endpoint_overrides: { "s3.amazonaws.com": ["not-an-ip"] } }', /a list of IP addresses/],
    ['connection_pool: { endpoint_overrides: { "s3.amazonaws.com": [] } }', /a list of IP addresses/],
    ['connection_pool: { upstream_overrides: { "minio": { scheme: http } } }', /host:port/],
    ['connection_pool: { upstream_overrides: { "*": { scheme: http } } }', /host:port/],
    ['connection_pool: { upstream_overrides: { "minio:9000": { scheme: ftp } } }', /http or https/],
    ['connection_pool: { upstream_overrides: { "minio:9000": { scheme: http, verify: no } } }', /validate_tls/],
    ['connection_pool: { upstream_overrides: { "minio:99999": { scheme: http } } }', /host:port/],
    ['health: { endpoint: health }', /begins with \//],
    ['get_ttl: 1s', /get_ttl: unknown key; did you mean cache\.get_ttl\?/],
    [
      'connection_pool: { health_probe_initial_cooldown: 10m }',
      /is longer than connection_pool\.health_probe_max_cooldown/,
    ],
    ['server: { proxy_port: 8080 }', /health\.port: 8080 is the port of server\.proxy_port, too/],
    ['cache: { get_ttl: 1s\nserver: {}', /c\.yaml:2:\d+: /],
    ['cache: {}\ncache: {}', /c\.yaml:2:1: .*unique/],
    ['a: 1\n---\nb: 2', /c\.yaml:2:1: .*multiple documents/],
  ])('%s', async (text, message) => {
    const problems = await problemsOf(loadText(text));
    expect(problems).toEqual([expect.stringMatching(message)]);
  });

  test('a password in a proxy URL is not repeated', async () => {
    const problems = await problemsOf(loadText('connection_pool: { upstream_proxy: "ftp://ada:hunter2@proxy" }'));
    expect(problems).toHaveLength(1);
    expect(problems.join()).not.toContain('hunter2');
  });

  test('a file that is not there, or is a folder, is named', async () => {
    expect(await problemsOf(load({ file: 'none.yaml' }))).toEqual([
      "none.yaml: the settings can't be read: no such file",
    ]);
    expect(await problemsOf(load({ file: folder }))).toEqual([`${folder}: the settings can't be read: is a folder`]);
  });

  test('a key named like a property of every object is unknown, not followed', async () => {
    const problems = await problemsOf(loadText('{"__proto__": {"polluted": 1}, "cache": {"constructor": 1}}'));
    expect(problems).toHaveLength(2);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('what a file may look like', () => {
  test('JSON, also with tabs and a byte order mark, is read as YAML is', async () => {
    const { settings } = await loadText(
      '\uFEFF{\n\t"cache": {\n\t\t"get_ttl": "5m",\n\t\t"max_cache_size": 1048576\n\t}\n}\n',
    );
    expect(settings.cache).toMatchObject({ get_ttl: 300_000, max_cache_size: 1_048_576 });
  });

  test.each(['', '# nothing\n', 'cache:\n', 'cache:\n  get_ttl:\n', '{}', 'cache: { metadata_cache: }'])(
    '%j leaves every setting at its default',
    async text => expect((await loadText(text)).settings).toEqual(defaultSettings({}, person)),
  );

  test('anchors and aliases stand for what they name', async () => {
    const { settings } = await loadText(
      'cache: { get_ttl: &t 5m, head_ttl: *t }\nhealth: &h { enabled: false }\nmetrics: *h\n',
    );
    expect(settings.cache).toMatchObject({ get_ttl: 300_000, head_ttl: 300_000 });
    expect(settings.metrics.enabled).toBe(false);
  });

  test('a maximum of 0 leaves the size of the cache to the free space', async () => {
    expect((await loadText('cache: { max_cache_size: 0 }')).settings.cache.max_cache_size).toBe(
      Number.MAX_SAFE_INTEGER,
    );
  });

  test('free space is a share or a size', async () => {
    expect((await loadText('cache: { min_free_space: 7.5% }')).settings.cache.min_free_space).toEqual({ percent: 7.5 });
    expect((await loadText('cache: { min_free_space: 2GiB }')).settings.cache.min_free_space).toEqual({
      bytes: 2 ** 31,
    });
  });

  test('host names of overrides are compared in lower case', async () => {
    const { connection_pool: pool } = (
      await loadText(
        'connection_pool:\n  endpoint_overrides: { "*.S3.Amazonaws.com": ["10.0.0.1"] }\n  upstream_overrides: { "MinIO:9000": { scheme: https, address: "[::1]:9443", validate_tls: false } }',
      )
    ).settings;
    expect(pool.endpoint_overrides).toEqual({ '*.s3.amazonaws.com': ['10.0.0.1'] });
    expect(pool.upstream_overrides).toEqual({
      'minio:9000': { scheme: 'https', address: '[::1]:9443', validate_tls: false },
    });
  });
});

describe('folders', () => {
  test.each([
    ['linux', {}, '/home/ada/.cache/cistern', '/home/ada/.local/state/cistern/logs/access'],
    [
      'linux',
      { XDG_CACHE_HOME: '/fast', XDG_STATE_HOME: 'not/absolute' },
      '/fast/cistern',
      '/home/ada/.local/state/cistern/logs/access',
    ],
    ['darwin', {}, '/home/ada/Library/Caches/Cistern', '/home/ada/Library/Logs/Cistern/access'],
  ] as const)('on %s with %j the cache is in %s', async (platform, env, cacheDir, accessLog) => {
    const { settings } = await load({ platform, env });
    expect(settings.cache.cache_dir).toBe(cacheDir);
    expect(settings.logging.access_log_dir).toBe(accessLog);
  });

  test('on Windows the cache is in the local application data', async () => {
    const env = { LOCALAPPDATA: 'C:\\Users\\ada\\AppData\\Local' };
    const { settings } = await load({ platform: 'win32', home: 'C:\\Users\\ada', env });
    expect(settings.cache.cache_dir).toBe('C:\\Users\\ada\\AppData\\Local\\Cistern\\Cache');
  });

  test('~/ is the home folder', async () => {
    const { settings } = await loadText('cache: { cache_dir: ~/s3 }\nlogging: { app_log_dir: "~" }');
    expect(settings.cache.cache_dir).toBe('/home/ada/s3');
    expect(settings.logging.app_log_dir).toBe('/home/ada');
  });
});

describe('variables', () => {
  test('those of other things, of Kubernetes, and those that are documented are left alone', async () => {
    const env = {
      PATH: '/bin',
      CISTERN_CONFIG: 'x.yaml',
      CISTERN_ELECTRON: '/e',
      CISTERN_SERVICE_HOST: '10.0.0.1',
      CISTERN_PORT_3128_TCP: 'tcp://10.0.0.1:3128',
    };
    expect((await load({ env })).settings).toEqual(defaultSettings({}, person));
  });

  test('of a key of the reference are warned about', async () => {
    const { warnings } = await load({ env: { CISTERN_SERVER_HTTP_PORT: '80', CISTERN_SERVER_TLS_ENABLED: 'false' } });
    expect(warnings.map(({ where }) => where)).toEqual(['CISTERN_SERVER_HTTP_PORT']);
  });
});

test('settings cannot be changed by who reads them', async () => {
  const { settings } = await load();
  expect(() => {
    (settings.cache as { get_ttl: number }).get_ttl = 1;
  }).toThrow(TypeError);
});
