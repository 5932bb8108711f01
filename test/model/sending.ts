import type { Fault, RequestRecord } from '../origin/index.ts';
import type { Seat } from './places.ts';
import type { Thing } from './steps.ts';
import { STEP, type Subject, type World } from './world.ts';
import type { Where } from './write-requests.ts';
import type { Trouble } from './write-steps.ts';
import type { Answer, Sent } from './writer.ts';

/** What a client knows of what it wrote to one object, and the origin beside. */
export interface Written {
  readonly subject: Subject;
  readonly via: number;
  /** `left`: the client went away before it was told. */
  readonly outcome: 'done' | 'refused' | 'unknown' | 'left';
  readonly startedAt: number;
  /** When it was done at the origin; undefined: not, or nobody can tell. */
  readonly effect: number | undefined;
  /** Of the version that it made, with all of its content through proxies. */
  readonly keeps: string | undefined;
}

/** What writes need of the run they are part of. */
export interface Setting {
  readonly world: World;
  readonly seats: readonly Seat[];
  subject(thing: Thing): Subject;
  /** A multipart upload has begun; the function is called when S3 has said that it is over. */
  uploadBegun(subject: Subject, uploadId: string): () => void;
  /** Something that S3 would not have done. */
  problem(text: string): void;
  counted(what: string): void;
}

export interface Told {
  readonly answer: Answer;
  readonly outcome: Written['outcome'];
  readonly startedAt: number;
}

export function where(
  { world, seats }: Setting,
  via: number,
  method: string,
  object: Subject | string,
  query = '',
): Where {
  const path = typeof object === 'string' ? `/${object}` : `/${object.bucket}/${object.key}`;
  return { method, host: seats[via]!.writer.host, target: path + query, at: world.now() };
}

/** What became of a write whose version has this id, or that had its effect then. */
export function written(
  { problem }: Setting,
  { via, trouble }: { readonly via: number; readonly trouble: Trouble },
  about: { subject: Subject; told: Told; id?: string; effect?: number | undefined; keeps?: boolean },
): Written {
  const { subject, told, id, keeps = false } = about;
  const { outcome, startedAt } = told;
  const effect = id === undefined ? about.effect : subject.versions.all.find(({ what }) => what?.id === id)?.from;
  if (outcome === 'done' && effect === undefined) problem(`${told.answer.status}, but it never came to the origin`);
  if (outcome === 'refused' && id !== undefined && effect !== undefined && effect >= startedAt)
    problem(`${told.answer.status}, and yet the origin did it`);
  const isKept = keeps && outcome === 'done' && (trouble === 'none' || trouble === 'late');
  return { subject, via, outcome, startedAt, effect, keeps: isKept ? id : undefined };
}

/** Sends one request that meets the trouble, and says what its client can know then. */
export async function send(
  { world, seats, problem, counted }: Setting,
  { via, trouble, at }: { readonly via: number; readonly trouble: Trouble; readonly at: number },
  sent: Sent,
  { subject, byBody = false, also = {} }: { subject: Subject; byBody?: boolean; also?: Fault },
): Promise<Told> {
  const seat = seats[via]!;
  const length = sent.body?.length ?? 0;
  const fault = { ...faultOf(trouble, at % Math.max(1, length)), ...also };
  const step = world.expectWrite(Object.keys(fault).length > 0 ? fault : undefined);
  const leaves = trouble === 'leaves' ? at % Math.max(1, length) : trouble === 'leaves late' ? 'late' : undefined;
  const startedAt = performance.now();
  const answer = await seat.writer.send({ ...sent, headers: [...sent.headers, STEP, step], leaves });
  const endedAt = performance.now();
  counted(`write ${answer.status}`);
  const broken = seat.wasDown(startedAt, endedAt) || world.trouble(subject, startedAt, endedAt) !== 'none';
  const wrong = broken || BREAKING.has(trouble) ? undefined : unlike(answer, world.recordOf(step));
  if (wrong !== undefined) problem(`${wrong}; S3 was asked: ${world.asked(subject, startedAt, endedAt)}`);
  return { answer, outcome: outcomeOf(answer, { byBody, left: leaves !== undefined }), startedAt };
}

function outcomeOf(
  { status, body, complete }: Answer,
  { byBody, left }: { byBody: boolean; left: boolean },
): Written['outcome'] {
  if (left && (status === 0 || !complete)) return 'left';
  if (status >= 400 && status < 500) return 'refused';
  if (status < 200 || status >= 500 || (byBody && !complete)) return 'unknown';
  if (!byBody || !body.includes('<Error>')) return 'done';
  return body.includes('<Code>InternalError<') ? 'unknown' : 'refused';
}

/** What about the answer is not as S3 gave it. */
function unlike({ status, body, complete }: Answer, record: RequestRecord | undefined): string | undefined {
  if (!record) return `${status}, and it never came to the origin: ${body.replaceAll('\n', ' ').slice(0, 500)}`;
  if (status !== record.status) return `${status} where S3 said ${record.status}`;
  if (!complete) return `${status}, cut, and nothing was wrong with the origin`;
  if (body.length !== record.bytesSent) return `${status} with ${body.length} bytes where S3 sent ${record.bytesSent}`;
  return undefined;
}

/** After these a client may find its connection cut, or be told something by the proxy. */
const BREAKING: ReadonlySet<Trouble> = new Set(['refused early', 'untold', 'reset', 'lost', 'leaves', 'leaves late']);

function faultOf(trouble: Trouble, at: number): Fault {
  switch (trouble) {
    case 'slow':
      return { readRate: 60e6 };
    case 'waits':
      return { beforeWrite: 40 };
    case 'late':
      return { beforeHeaders: 40 };
    case 'refused early':
      return { status: 403, answerAt: 'head' };
    case 'refused':
      return { status: 400, code: 'InvalidRequest', answerAt: 'body' };
    case 'busy':
      return { status: 503, answerAt: 'body' };
    case 'untold 500':
      return { status: 500 };
    case 'untold':
      return { drop: 'done' };
    case 'reset':
      return { resetUploadAfter: at };
    case 'lost':
      return { drop: 'body' };
    case 'kept alive':
      return { keepAlive: 40 };
    case 'kept alive, refused':
      return { keepAlive: 20, status: 500, code: 'InvalidRequest', answerAt: 'body' };
    case 'kept alive, unclear':
      return { keepAlive: 20, status: 500, code: 'InternalError', answerAt: 'body' };
    default:
      return {};
  }
}
