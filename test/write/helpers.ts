import {
  type HeaderFacts,
  headerValue,
  type ObjectAddress,
  objectAddress,
  type RawHeaders,
  type WriteKind,
} from '../../proxy-core/request/index.ts';
import { type Keeping, WriteWatch } from '../../proxy-core/write/index.ts';

export const object = (key: string, bucket = 'b') => objectAddress('aws', bucket, key);

type Facts = Pick<HeaderFacts, 'contentSha256' | 'contentType'>;
type Fail = 'throw' | 'reject';
const NO_FACTS: Facts = { contentSha256: undefined, contentType: undefined };

/** A watch whose moves are seen, and which settles a move only when told to. */
export function watch(write: WriteKind, facts: Partial<Facts> = {}, more: { fail?: Fail; keeping?: Keeping } = {}) {
  const { fail, keeping } = more;
  const moved: string[] = [];
  const forgotten: string[] = [];
  const problems: string[] = [];
  const settle: (() => void)[] = [];
  const changed = {
    moveOn(objects: readonly ObjectAddress[]): Promise<void> {
      if (fail === 'throw') throw new Error('disk');
      if (fail === 'reject') return Promise.reject(new Error('disk'));
      moved.push(...objects.map(o => o.storeKey));
      return new Promise(resolve => settle.push(resolve));
    },
    forget: (object: ObjectAddress) => void forgotten.push(object.storeKey),
  };
  const hooks = new WriteWatch(write, {
    changed,
    request: { ...NO_FACTS, ...facts },
    keeping,
    patience: 50,
    onProblem: message => problems.push(message),
  });
  return { hooks, moved, forgotten, problems, settle: () => settle.forEach(resolve => void resolve()) };
}

/** As a listener finds it, before it takes away what concerns one connection only. */
export function framingOf(sent: RawHeaders): 'none' | 'length' | 'chunked' {
  if (headerValue(sent, 'transfer-encoding') !== undefined) return 'chunked';
  return headerValue(sent, 'content-length') === undefined ? 'none' : 'length';
}

export interface Script {
  readonly write: WriteKind;
  readonly facts?: Partial<Facts>;
  readonly request?: string | Buffer | undefined;
  readonly status?: number;
  readonly headers?: RawHeaders;
  readonly answer?: string | undefined;
  /** Where the bodies are cut in two */
  readonly cut?: number;
  /** The upstream dies instead of answering, or within its answer. */
  readonly dies?: 'before_headers' | 'in_body';
}

export interface Played {
  /** Keys moved before the headers went to the client, and before the end did */
  readonly beforeHeaders: string[];
  readonly beforeEnd: string[];
  /** Keys of which nothing has to be kept. */
  readonly forgotten: string[];
  readonly problems: string[];
  readonly holdsEnd: boolean;
}

/** Plays a whole request as the relay does, and tells when which objects were moved on. */
export async function play(script: Script): Promise<Played> {
  const { hooks, moved, forgotten, problems, settle } = watch(script.write, script.facts);
  const wait = async (promise: Promise<void> | undefined): Promise<string[]> => {
    settle();
    await promise;
    return moved.splice(0).map(keyOf);
  };
  for (const piece of cut(script.request ?? '', script.cut)) hooks.onRequestBody(piece, () => {});
  let beforeHeaders: string[] = [];
  if (script.dies === 'before_headers') beforeHeaders = await wait(hooks.onUnknownOutcome());
  else beforeHeaders = await wait(hooks.beforeHeaders(script.status ?? 200, script.headers ?? []));
  let beforeEnd: string[] = [];
  if (script.dies !== 'before_headers') {
    for (const piece of cut(script.answer ?? '', script.cut)) hooks.onResponseBody(piece);
    beforeEnd = await wait(script.dies ? hooks.onUnknownOutcome() : hooks.beforeEnd());
  }
  return { beforeHeaders, beforeEnd, forgotten: forgotten.map(keyOf), problems, holdsEnd: hooks.holdsEnd };
}

function keyOf(storeKey: string): string {
  return storeKey.split('\0').slice(2).join('\0');
}

function cut(body: string | Buffer, at: number | undefined): Buffer[] {
  const bytes = Buffer.from(body as string);
  return (at === undefined ? [bytes] : [bytes.subarray(0, at), bytes.subarray(at)]).filter(piece => piece.length > 0);
}
