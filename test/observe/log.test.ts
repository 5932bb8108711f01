import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog, LOG_LEVELS, type LogOptions } from '../../proxy-core/observe/index.ts';

let dir: string;
let now: number;
let shown: string;

beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), 'cistern-log-')), 'app');
  now = Date.UTC(2026, 10, 22, 12, 0, 0, 7);
  shown = '';
});
afterEach(() => rmSync(dirname(dir), { recursive: true, force: true }));

const options = (change: Partial<LogOptions> = {}): LogOptions => ({
  level: 'info',
  retentionDays: 30,
  stream: { write: text => (shown += text) },
  now: () => now,
  ...change,
});

const file = (day: string): Record<string, unknown>[] =>
  readFileSync(join(dir, `cistern-${day}.log`), 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);

describe('the application log', () => {
  it('writes a line that a person reads', () => {
    const log = createLog(options());
    log.child('store').child('disk').warn('slow write', { ms: 120, path: '/a b', count: 2n });
    expect(shown).toBe('2026-11-22T12:00:00.007Z WARN  store.disk: slow write ms=120 path="/a b" count=2\n');
  });

  it('writes the same as JSON to the file of the day, for this user only', async () => {
    const log = createLog(options({ dir }));
    log.info('started', { port: 3128 });
    log.child('core').error('failed', { error: Object.assign(new Error('boom'), { code: 'EIO' }) });
    await log.close();
    const [started, failed] = file('2026-11-22');
    expect(started).toEqual({ time: '2026-11-22T12:00:00.007Z', level: 'info', message: 'started', port: 3128 });
    expect(failed).toMatchObject({
      level: 'error',
      name: 'core',
      message: 'failed',
      error: { message: 'boom', code: 'EIO' },
    });
    expect(statSync(join(dir, 'cistern-2026-11-22.log')).mode & 0o077).toBe(0);
  });

  it('keeps lines whole in a file that two processes write to at once', async () => {
    const pieces = Array.from({ length: 1000 }, (_, i) => `${i} ${'x '.repeat(700)}`);
    const logs = ['one', 'two'].map(name => createLog(options({ dir })).child(name));
    for (const message of pieces) for (const log of logs) log.info(message);
    await Promise.all(logs.map(log => log.close()));
    const lines = file('2026-11-22');
    for (const name of ['one', 'two'])
      expect(lines.filter(line => line.name === name).map(({ message }) => message)).toEqual(pieces);
  });

  it.each(LOG_LEVELS)('shows at level %s that level and what is more severe', level => {
    const log = createLog(options({ level }));
    for (const each of LOG_LEVELS) log[each](`message ${each}`);
    expect(shown.match(/message (\w+)/g)).toEqual(
      LOG_LEVELS.slice(0, LOG_LEVELS.indexOf(level) + 1).map(each => `message ${each}`),
    );
    expect(log.enabled(level)).toBe(true);
    expect(log.enabled('trace')).toBe(level === 'trace');
  });

  it('changes its level while running, children included', () => {
    const log = createLog(options());
    const child = log.child('x');
    child.debug('before');
    log.setLevel('debug');
    child.debug('after');
    child.setLevel('error');
    log.warn('quiet');
    expect(shown.match(/before|after|quiet/g)).toEqual(['after']);
  });

  it('begins a new file with the day', async () => {
    const log = createLog(options({ dir }));
    log.info('one');
    await vi.waitFor(() => expect(file('2026-11-22')).toHaveLength(1));
    now += 86_400_000;
    log.info('two');
    await log.close();
    expect(file('2026-11-23')).toMatchObject([{ message: 'two' }]);
  });

  it('shows no secret, wherever it comes in', async () => {
    const secret = 's3cr3tvalue';
    const log = createLog(options({ dir }));
    log.info(`GET /k?X-Amz-Signature=${secret}`, {
      headers: ['Authorization', `AWS4-HMAC-SHA256 Credential=${secret}`, 'X-Amz-Security-Token', secret],
      authorization: secret,
      url: `https://h/k?X-Amz-Credential=${secret}`,
      error: new Error(`Authorization: AWS x:${secret}`),
    });
    await log.close();
    expect(shown).not.toContain(secret);
    expect(JSON.stringify(file('2026-11-22'))).not.toContain(secret);
    expect(shown).toContain('REDACTED');
  });

  it('keeps a line a line, whatever is in it', () => {
    createLog(options()).info('bad key\r\n2026-01-01 ERROR forged', { key: 'a\nb\u001b[31m', 'na\nme': 1 });
    expect(shown.match(/\n/g)).toHaveLength(1);
    expect(shown).not.toContain('\u001b');
  });
});

describe('identical lines', () => {
  it('are shown five times, and the rest as a number at the end', async () => {
    const log = createLog(options({ dir }));
    for (let i = 0; i < 100; i++) log.warn('disk is slow', { disk: 1 });
    log.warn('disk is slow', { disk: 2 });
    expect(shown.match(/disk is slow/g)).toHaveLength(6);
    await log.close();
    expect(shown).toContain('disk is slow disk=1 repeated=95\n');
    expect(file('2026-11-22')).toHaveLength(7);
  });

  it('are shown anew after ten seconds', () => {
    vi.useFakeTimers();
    try {
      const log = createLog(options());
      for (let i = 0; i < 7; i++) log.warn('disk is slow');
      vi.advanceTimersByTime(10_000);
      expect(shown).toContain('disk is slow repeated=2\n');
      shown = '';
      log.warn('disk is slow');
      expect(shown).toContain('disk is slow\n');
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('application log files', () => {
  it('are removed when their day is over for longer than they are kept, and nothing else is', async () => {
    const first = createLog(options({ dir }));
    first.info('x');
    await first.close();
    for (const name of [
      'cistern-2026-10-22.log',
      'cistern-2026-10-23.log',
      'notes-2020-01-01.log',
      'cistern-old.log',
    ]) {
      writeFileSync(join(dir, name), 'x');
    }
    const log = createLog(options({ dir }));
    log.info('y');
    await log.close();
    expect(readdirSync(dir).sort()).toEqual([
      'cistern-2026-10-23.log',
      'cistern-2026-11-22.log',
      'cistern-old.log',
      'notes-2020-01-01.log',
    ]);
  });

  it('that cannot be written cost no request: it is said once, and counted when they can be again', async () => {
    writeFileSync(dir, 'a file where the folder should be');
    const log = createLog(options({ dir }));
    log.info('one');
    log.info('two');
    await log.close();
    log.info('three');
    await log.close();
    expect(shown.match(/can't be written/g)).toHaveLength(1);
    rmSync(dir);
    log.info('four');
    await log.close();
    expect(file('2026-11-22')).toMatchObject([{ message: 'four' }]);
    expect(shown).toContain('3 lines are missing');
  });

  it('are not made without a folder', async () => {
    const log = createLog(options());
    log.info('x');
    await log.close();
    expect(existsSync(dir)).toBe(false);
  });
});
