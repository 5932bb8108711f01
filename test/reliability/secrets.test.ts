import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startCistern } from '../clients/cistern.ts';
import { formRequest, uploadRequest } from '../model/write-requests.ts';
import { type Sent, Writer } from '../model/writer.ts';
import { ALICE, BOB, CAROL, generatedBody, type Principal, startOrigin } from '../origin/index.ts';
import { type Ask, Client, eventually, filesUnder } from '../read/helpers.ts';

const BODY = generatedBody(300_000, 8).read(0, 300_000);
const PEOPLE = [ALICE, BOB, CAROL];
const FORMS = ['plain', 'unsigned', 'signed', 'signed-trailer', 'unsigned-trailer', 'presigned'] as const;

/** What would let somebody be taken for one of them, in the spellings of requests. */
function secretsOf({ secretAccessKey, sessionToken }: Principal): string[] {
  return [secretAccessKey, ...(sessionToken === undefined ? [] : [sessionToken, encodeURIComponent(sessionToken)])];
}

it('no file that a process writes holds a secret, token or signature: cache, logs, instances, uploads under way', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-secrets-'));
  const origin = await startOrigin();
  const logs = {
    ...{ access_log_dir: join(folder, 'logs', 'access'), app_log_dir: join(folder, 'logs', 'app'), log_level: 'trace' },
    ...{ access_log_enabled: true, access_log_flush_interval: '100ms' },
  };
  const cistern = await startCistern(folder, {
    cache: { ram_cache_enabled: false, min_free_space: '0%' },
    connection_pool: { upstream_overrides: { [origin.address]: { scheme: 'http' } } },
    logging: logs,
  });
  const port = Number(new URL(cistern.url).port);
  const client = new Client(origin, port);
  const writer = new Writer(port, origin.address);
  onTestFinished(async () => {
    client.close();
    writer.close();
    await cistern.stop();
    await origin.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const statuses: number[] = [];
  const send = async (ask: Ask) => {
    const answer = await client.send(ask);
    statuses.push(answer.status);
    return answer.body.toString();
  };
  const write = async (sent: Sent) => statuses.push((await writer.send(sent)).status);

  for (const who of PEOPLE) {
    const key = `of-${who.name}`;
    await send({ key, who, method: 'PUT', body: BODY });
    await send({ key, who, method: 'PUT', body: BODY, expires: 300 });
    for (const range of [undefined, 'bytes=5-70000']) {
      const ranged = range === undefined ? {} : { range };
      await send({ key, who, ...ranged });
      await send({ key, who, expires: 300, ...ranged });
    }
    const created = await send({ key: `${key}-parts`, who, method: 'POST', query: '?uploads=' });
    const id = /<UploadId>([^<]+)</.exec(created)?.[1];
    await send({ key: `${key}-parts`, who, method: 'PUT', query: `?partNumber=1&uploadId=${id}`, body: BODY });
    await send({ key, who, method: 'DELETE' });
    // What is refused and what fails is logged more eagerly than what goes well.
    await send({ key, who: { ...who, secretAccessKey: 'wrong' } });
    await send({ key, who: { ...who, secretAccessKey: 'wrong' }, expires: 300 });
    origin.faults.on({ key: 'fails', times: 1 }, { status: 500 });
    await send({ key: 'fails', who });
    origin.faults.on({ key: 'lost', times: 1 }, { drop: 'done' });
    await send({ key: 'lost', who, method: 'PUT', body: BODY, expires: 300 });
    await send({ key: 'a%zz', who });
  }
  const at = Date.now();
  for (const form of FORMS) {
    const where = { method: 'PUT', host: origin.address, target: `/data/form-${form}`, at };
    await write(uploadRequest(where, BODY, { form, checksum: 'crc32', headers: [] }));
  }
  const form = { key: 'by-form', fileName: 'f', fields: {} };
  await write(formRequest({ method: 'POST', host: origin.address, target: '/data', at }, BODY, form));
  expect(statuses).toContain(200);
  expect(statuses).toContain(403);
  expect(statuses).toContain(500);

  const written = () => filesUnder(folder);
  await eventually(async () => {
    const names = (await written()).join('\n');
    return ['.head', '.epoch', '/uploads/', '/instances/', '/logs/access/', '/logs/app/'].every(part =>
      names.includes(part),
    );
  });
  const signatures = origin.requests.flatMap(({ path, headers }) =>
    [...`${path} ${headers.authorization ?? ''}`.matchAll(/Signature=([0-9a-f]{64})/g)].map(([, one]) => one!),
  );
  expect(signatures.length).toBeGreaterThan(30);
  const secrets = [...new Set([...PEOPLE.flatMap(secretsOf), ...signatures])];
  const holds = async (path: string) => {
    const text = `${path}\n${await readFile(path, 'latin1')}`;
    return secrets.filter(secret => text.includes(secret)).map(secret => `${secret} in ${path}`);
  };
  const looked = async () => {
    const files = (await written()).filter(path => !path.endsWith('.sock'));
    return (await Promise.all(files.map(path => holds(path).catch(() => [])))).flat();
  };
  expect(await looked()).toEqual([]);
  // What is written at the end, too.
  await cistern.stop();
  expect(await looked()).toEqual([]);
  expect((await readdir(join(folder, 'logs', 'access'))).length).toBeGreaterThan(0);
}, 60_000);
