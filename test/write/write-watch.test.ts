import { describe, expect, it } from 'vitest';
import type { WriteKind } from '../../proxy-core/request/index.ts';
import type { Keeping, WriteWatch } from '../../proxy-core/write/index.ts';
import { object, play, watch } from './helpers.ts';

const put: WriteKind = { kind: 'by_status', objects: [object('k')] };
const both: WriteKind = { kind: 'by_status', objects: [object('a+b'), object('a b')] };
const copy: WriteKind = { kind: 'by_body', objects: [object('k')] };

describe('a write whose status tells', () => {
  it.each([200, 201, 202, 204, 206, 299])('%i: the object is moved on before the headers', async status => {
    expect(await play({ write: put, status })).toMatchObject({ beforeHeaders: ['k'], beforeEnd: [], holdsEnd: false });
  });
  it.each([500, 501, 502, 503, 504, 599])('%i: the outcome is unknown, so it is moved on', async status => {
    expect(await play({ write: put, status, answer: '<Error/>' })).toMatchObject({
      beforeHeaders: ['k'],
      beforeEnd: [],
    });
  });
  it.each([301, 303, 304, 307, 400, 403, 404, 409, 412, 499])('%i: nothing changed', async status => {
    expect(await play({ write: put, status, answer: '<Error/>' })).toMatchObject({ beforeHeaders: [], beforeEnd: [] });
  });
  it('both readings of an ambiguous key are moved on', async () => {
    expect((await play({ write: both })).beforeHeaders).toEqual(['a+b', 'a b']);
  });
  it('the connection dies before the answer: moved on', async () => {
    expect((await play({ write: put, dies: 'before_headers' })).beforeHeaders).toEqual(['k']);
  });
});

describe('a DELETE', () => {
  const remove: WriteKind = { kind: 'delete', object: object('k') };
  it('that is accepted: the object is moved on, then what is kept of it may go', async () => {
    const { hooks, moved, forgotten, settle } = watch(remove);
    const wait = hooks.beforeHeaders(204, []);
    expect({ moved, forgotten }).toEqual({ moved: [object('k').storeKey], forgotten: [] });
    settle();
    await wait;
    expect(forgotten).toEqual([object('k').storeKey]);
  });
  it('of an unknown outcome only moves it on', async () => {
    expect(await play({ write: remove, status: 500 })).toMatchObject({ beforeHeaders: ['k'], forgotten: [] });
    expect(await play({ write: remove, dies: 'before_headers' })).toMatchObject({
      beforeHeaders: ['k'],
      forgotten: [],
    });
  });
  it('that is refused does nothing', async () => {
    expect(await play({ write: remove, status: 403 })).toMatchObject({ beforeHeaders: [], forgotten: [] });
  });
});

describe('what is kept of a write', () => {
  const kept = () => {
    const seen: string[] = [];
    let done: () => void = () => {};
    const keeping: Keeping = {
      onRequestBody: chunk => {
        seen.push(String(chunk));
        return 'hold';
      },
      onRequestEnd: () => void seen.push('end'),
      onHeaders: () => void seen.push('headers'),
      accepted: (headers, answer) => {
        seen.push(`accepted ${headers[1]} ${answer}`);
        return new Promise(resolve => {
          done = resolve;
        });
      },
      abandoned: () => void seen.push('abandoned'),
    };
    return { keeping, seen, done: () => done() };
  };
  const settled = async (promise: Promise<void> | undefined) => {
    let through = false;
    void promise?.then(() => {
      through = true;
    });
    await new Promise(resolve => setImmediate(resolve));
    return through;
  };

  it('is told of the body, and of the answer once the epoch is being moved; the client waits for both', async () => {
    const { keeping, seen, done } = kept();
    const { hooks, moved, settle } = watch(put, {}, { keeping });
    expect(hooks.onRequestBody(Buffer.from('a'), () => {})).toBe('hold');
    hooks.onRequestEnd();
    const wait = hooks.beforeHeaders(200, ['ETag', '"e"']);
    expect(moved).toHaveLength(1);
    expect(seen).toEqual(['a', 'end', 'accepted "e" undefined']);
    settle();
    expect(await settled(wait)).toBe(false);
    done();
    await wait;
  });
  it('is waited for no longer than patience lasts', async () => {
    const { keeping, done } = kept();
    const { hooks, settle } = watch(put, {}, { keeping });
    const wait = hooks.beforeHeaders(200, []);
    settle();
    await wait;
    done();
  });
  it('is told of a body that says what was done', async () => {
    const { keeping, seen, done } = kept();
    const { hooks, settle } = watch(copy, {}, { keeping });
    expect(hooks.beforeHeaders(200, ['ETag', '"e"'])).toBeUndefined();
    hooks.onResponseBody(Buffer.from('<Copied/>'));
    const wait = hooks.beforeEnd();
    settle();
    done();
    await wait;
    expect(seen).toEqual(['headers', 'accepted "e" <Copied/>']);
  });
  it.each<[string, (hooks: WriteWatch) => unknown]>([
    ['a refusal', hooks => hooks.beforeHeaders(412, [])],
    ['an error of S3', hooks => hooks.beforeHeaders(503, [])],
    ['no answer', hooks => hooks.onUnknownOutcome()],
    ['a request that did not go out', hooks => hooks.onNotDone()],
  ])('is given up after %s, once', (_, act) => {
    const { keeping, seen } = kept();
    const { hooks } = watch(put, {}, { keeping });
    act(hooks);
    hooks.onUnknownOutcome();
    hooks.onNotDone();
    expect(seen).toEqual(['abandoned']);
  });
  it('is given up after an <Error> in a 200', () => {
    const { keeping, seen } = kept();
    const { hooks } = watch(copy, {}, { keeping });
    hooks.beforeHeaders(200, []);
    hooks.onResponseBody(Buffer.from('<Error><Code>NoSuchKey</Code></Error>'));
    hooks.beforeEnd();
    expect(seen).toEqual(['headers', 'abandoned']);
  });
  it('is not given up when the answer is cut after S3 had accepted', () => {
    const { keeping, seen } = kept();
    const { hooks } = watch(put, {}, { keeping });
    hooks.beforeHeaders(200, []);
    hooks.onUnknownOutcome();
    expect(seen).toEqual(['accepted undefined undefined']);
  });
  it('and fails is reported, and does not hold the client', async () => {
    const keeping: Keeping = { accepted: () => Promise.reject(new Error('disk')), abandoned: () => {} };
    const { hooks, problems, settle } = watch(put, {}, { keeping });
    const wait = hooks.beforeHeaders(200, []);
    settle();
    await wait;
    expect(problems).toEqual(['An upload could not be kept: Error: disk']);
  });
});

describe('a write whose body tells', () => {
  const done = '<?xml version="1.0"?>\n<CopyObjectResult xmlns="http://s3"><ETag>"e"</ETag></CopyObjectResult>';
  const failed = '<?xml version="1.0"?>\n\n<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>';
  it('is moved on before the end, wherever the body is cut', async () => {
    for (let cut = 0; cut <= done.length; cut++) {
      expect(await play({ write: copy, answer: done, cut })).toEqual({
        beforeHeaders: [],
        beforeEnd: ['k'],
        forgotten: [],
        problems: [],
        holdsEnd: true,
      });
    }
  });
  it('white space that keeps the connection alive does no harm', async () => {
    expect((await play({ write: copy, answer: `${' \n'.repeat(500)}${done}` })).beforeEnd).toEqual(['k']);
    expect((await play({ write: copy, answer: `${' \n'.repeat(500)}${failed}` })).beforeEnd).toEqual([]);
  });
  it('a 200 with <Error> changed nothing, wherever the body is cut', async () => {
    for (let cut = 0; cut <= failed.length; cut++) {
      expect(await play({ write: copy, answer: failed, cut })).toMatchObject({ beforeHeaders: [], beforeEnd: [] });
    }
  });
  it.each([
    ['an error of S3 itself', '<Error><Code>InternalError</Code></Error>'],
    ['a slow-down', '<Error><Code>SlowDown</Code></Error>'],
    ['an error without a code', '<Error></Error>'],
    ['an empty body', ''],
    ['no XML', 'done'],
    ['a body past the limit', `<Error><Code>NoSuchKey</Code><Message>${'x'.repeat(2 ** 20)}</Message></Error>`],
    ['nested too deep', '<a>'.repeat(500)],
    ['an element that is no name', '<constructor>1</constructor>'],
  ])('%s: unknown, so it is moved on', async (_, answer) => {
    expect((await play({ write: copy, answer })).beforeEnd).toEqual(['k']);
  });
  it('a namespace prefix does not hide an error', async () => {
    const answer = '<s3:Error xmlns:s3="x"><s3:Code>AccessDenied</s3:Code></s3:Error>';
    expect((await play({ write: copy, answer })).beforeEnd).toEqual([]);
  });
  it.each([400, 403, 404, 412])('%i: nothing changed', async status => {
    expect(await play({ write: copy, status, answer: failed })).toMatchObject({ beforeHeaders: [], beforeEnd: [] });
  });
  it('503: moved on before the headers', async () => {
    expect(await play({ write: copy, status: 503, answer: failed })).toMatchObject({
      beforeHeaders: ['k'],
      beforeEnd: [],
    });
  });
  it('the connection dies within the body: moved on', async () => {
    expect((await play({ write: copy, answer: '<Copy', dies: 'in_body' })).beforeEnd).toEqual(['k']);
  });
});

describe('a move', () => {
  it('is waited for', async () => {
    const { hooks, settle } = watch(put);
    let through = false;
    const wait = hooks.beforeHeaders(200, [])!.then(() => {
      through = true;
    });
    await new Promise(resolve => setImmediate(resolve));
    expect(through).toBe(false);
    settle();
    await wait;
    expect(through).toBe(true);
  });
  it.each(['throw', 'reject'] as const)('that fails (%s) is reported and not passed on', async fail => {
    const { hooks, problems } = watch(put, {}, { fail });
    await hooks.beforeHeaders(200, []);
    await hooks.onUnknownOutcome();
    expect(problems).toHaveLength(2);
    expect(problems[0]).toContain('disk');
  });
});
