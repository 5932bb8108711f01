import { Agent, get } from 'node:http';
import type { StatusSnapshot } from '../../proxy-core/admin/index.ts';
import { FAILED, type Io, OK } from './io.ts';
import { SETTINGS_WRONG, type SettingsOptions, settingsFrom } from './settings-options.ts';
import { statusLines } from './status-lines.ts';
import { reachable } from './url.ts';

export interface StatusOptions extends SettingsOptions {
  readonly json?: boolean;
}

const PATIENCE_MS = 3_000;

/** `cistern status`: what the running proxy says of itself. Exits with 1 when none answers. */
export async function status(options: StatusOptions, io: Io): Promise<number> {
  const loaded = await settingsFrom(options, io);
  if (!loaded) return SETTINGS_WRONG;
  const { dashboard, health } = loaded.settings;
  const tried: string[] = [];

  if (dashboard.enabled && dashboard.port !== 0) {
    const url = `${reachable(dashboard.bind_address, dashboard.port)}/api/status`;
    const answer = await ask(url);
    const snapshot = answer.status === 200 ? parse(answer.body) : undefined;
    if (snapshot) {
      if (options.json) io.out(JSON.stringify(snapshot, null, 2));
      else for (const line of statusLines(snapshot)) io.out(line);
      return OK;
    }
    tried.push(`${url}: ${answer.problem ?? `answered ${answer.status}, which is not Cistern's status`}`);
  }
  if (health.enabled && health.port !== 0) {
    const url = `${reachable(health.bind_address, health.port)}${health.endpoint}`;
    const answer = await ask(url);
    if (answer.status === 200 || answer.status === 503) {
      if (options.json) io.out(JSON.stringify({ health: answer.status, detail: answer.body.trim() }, null, 2));
      else
        io.out(
          `Cistern is running, and says it is ${answer.status === 200 ? 'well' : `not well: ${answer.body.trim()}`}.`,
        );
      io.err('cistern: its dashboard does not answer, so there are no counts.');
      return OK;
    }
    tried.push(`${url}: ${answer.problem ?? `answered ${answer.status}`}`);
  }
  io.err('cistern: no running proxy was found.');
  for (const line of tried) io.err(`  ${line}`);
  io.err(
    tried.length === 0
      ? 'Its dashboard and health check are off, or on any free port, in these settings; give the file it was started with by --config.'
      : 'Start it with `cistern serve`, or, if it runs with other ports, give its settings by --config.',
  );
  return FAILED;
}

interface Answer {
  readonly status?: number;
  readonly body: string;
  readonly problem?: string;
}

/** An own agent: with NODE_USE_ENV_PROXY the shared one would ask through the very proxy that HTTP_PROXY names. */
function ask(url: string): Promise<Answer> {
  return new Promise(resolve => {
    const request = get(url, { agent: new Agent(), signal: AbortSignal.timeout(PATIENCE_MS) }, response => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode!, body }));
      response.on('error', failed);
    });
    request.on('error', failed);
    function failed(error: NodeJS.ErrnoException): void {
      const problem =
        error.code === 'ECONNREFUSED'
          ? 'nothing listens there'
          : error.name === 'AbortError'
            ? 'no answer in time'
            : error.message;
      resolve({ body: '', problem });
    }
  });
}

function parse(body: string): StatusSnapshot | undefined {
  try {
    const json = JSON.parse(body) as Partial<StatusSnapshot> | null;
    return json?.version !== undefined && json.counters && json.cache ? (json as StatusSnapshot) : undefined;
  } catch {
    // Another program's page: the caller says that it is no status.
    return undefined;
  }
}
