import { type Setting, send, type Written, where, written } from './sending.ts';
import { CLOSED } from './world.ts';
import { writeMultipart } from './write-multipart.ts';
import { formRequest, md5Header, request, uploadRequest } from './write-requests.ts';
import {
  type Copy,
  DESCRIPTIONS,
  type Delete,
  type DeleteMany,
  type PostForm,
  type Put,
  type Tag,
  type Write,
} from './write-steps.ts';

/** Carries a write out; resolves with what it did to which objects as soon as its client knows. */
export async function write(step: Write, setting: Setting): Promise<Written[]> {
  switch (step.do) {
    case 'put':
      return [await put(step, setting)];
    case 'post form':
      return [await postForm(step, setting)];
    case 'copy':
      return [await copy(step, setting)];
    case 'multipart':
      return writeMultipart(step, setting);
    case 'delete':
      return [await remove(step, setting)];
    case 'delete many':
      return removeMany(step, setting);
    case 'tag':
      return [await tag(step, setting)];
  }
}

/** Of what is put in one piece: what S3 does with it costs this process time. */
const LARGEST = 9 << 20;

async function put(step: Put, setting: Setting): Promise<Written> {
  const { world } = setting;
  const subject = setting.subject(step.of);
  const now = subject.versions.now;
  const same = step.content === 'same' && now && now.bytes.length <= LARGEST ? now.bytes : undefined;
  const { id, content } = world.announce(step.size, same);
  const old = subject.versions.all.findLast(({ what }) => what && what.etag !== now?.etag)?.what;
  const etag = (step.condition === 'if-match' ? now : old)?.etag ?? '"0123456789abcdef0123456789abcdef"';
  const headers = [
    ...['x-amz-meta-version', id, ...DESCRIPTIONS[step.about]!],
    ...(step.condition === 'none'
      ? []
      : step.condition === 'if-none-match'
        ? ['If-None-Match', '*']
        : ['If-Match', etag]),
    ...(step.trouble === 'wrong sum' ? md5Header(content.bytes, false) : []),
  ];
  const { form, checksum } = step;
  const sent = uploadRequest(where(setting, step.via, 'PUT', subject), content.bytes, { form, checksum, headers });
  const told = await send(setting, step, sent, { subject });
  return written(setting, step, { subject, told, id, keeps: true });
}

async function postForm(step: PostForm, setting: Setting): Promise<Written> {
  const subject = setting.subject(step.of);
  const { id, content } = setting.world.announce(step.size);
  const [, folder, fileName] = /^(.*\/)([^/]*)$/.exec(subject.key)!;
  const sent = formRequest(where(setting, step.via, 'POST', subject.bucket), content.bytes, {
    key: `${folder}\${filename}`,
    fileName: fileName!,
    fields: { 'x-amz-meta-version': id, 'Content-Type': 'text/x-form' },
  });
  const told = await send(setting, step, sent, { subject });
  return written(setting, step, { subject, told, id, keeps: false });
}

async function copy(step: Copy, setting: Setting): Promise<Written> {
  const subject = setting.subject(step.of);
  const from = setting.subject(step.from);
  const id = step.metadata === 'replace' ? setting.world.announceId() : undefined;
  const own = id === undefined ? [] : ['x-amz-meta-version', id, ...DESCRIPTIONS[step.about]!];
  const headers = [
    'x-amz-copy-source',
    `/${from.bucket}/${from.key}`,
    'x-amz-metadata-directive',
    step.metadata.toUpperCase(),
    ...own,
  ];
  const sent = request(where(setting, step.via, 'PUT', subject), headers);
  const told = await send(setting, step, sent, { subject, byBody: true });
  if (id !== undefined) return written(setting, step, { subject, told, id, keeps: false });
  const date = /<LastModified>([^<]*)</.exec(told.answer.body)?.[1];
  const made = subject.versions.all.find(({ what }) => date && what?.lastModified === new Date(date).toUTCString());
  return written(setting, step, { subject, told, effect: made?.from });
}

async function remove(step: Delete, setting: Setting): Promise<Written> {
  const subject = setting.subject(step.of);
  const id = 'x-amz-version-id';
  const { versions } = subject;
  const ids = versions.all.flatMap(({ what }) => what?.fields[id] ?? []);
  const named =
    step.version === 'current' ? versions.now?.fields[id] : ids.find(one => one !== versions.now?.fields[id]);
  const query = step.version === 'none' ? '' : `?versionId=${encodeURIComponent(named ?? 'null')}`;
  const sent = request(where(setting, step.via, 'DELETE', subject, query));
  const told = await send(setting, step, sent, { subject });
  return written(setting, step, { subject, told, effect: subject.removals.find(at => at >= told.startedAt) });
}

async function removeMany(step: DeleteMany, setting: Setting): Promise<Written[]> {
  const subjects = step.keys.map(thing => setting.subject(thing));
  const refused = step.refused.map(thing => setting.subject(thing).key);
  const objects = [...subjects.map(({ key }) => key), 'nothing/of/this name'].map(
    key => `<Object><Key>${key}</Key></Object>`,
  );
  const body = Buffer.from(`<Delete><Quiet>${step.quiet}</Quiet>${objects.join('')}</Delete>`);
  const headers = [...md5Header(body, true), 'Content-Type', 'application/xml'];
  const sent = request(where(setting, step.via, 'POST', CLOSED, '?delete='), headers, body);
  const deleteErrors = Object.fromEntries(refused.map(key => [key, step.code]));
  const told = await send(setting, step, sent, { subject: subjects[0]!, also: { deleteErrors } });
  return subjects.map(subject => {
    const isRefused = told.outcome === 'done' && told.answer.body.includes(`<Error><Key>${subject.key}</Key>`);
    const outcome = !isRefused ? told.outcome : step.code === 'AccessDenied' ? 'refused' : 'unknown';
    const effect = subject.removals.find(at => at >= told.startedAt);
    return written(setting, step, { subject, told: { ...told, outcome }, effect });
  });
}

async function tag(step: Tag, setting: Setting): Promise<Written> {
  const subject = setting.subject(step.of);
  const tags = Array.from({ length: step.tags }, (_, i) => `<Tag><Key>k${i}</Key><Value>v</Value></Tag>`);
  const body = Buffer.from(`<Tagging><TagSet>${tags.join('')}</TagSet></Tagging>`);
  const at = where(setting, step.via, step.tags > 0 ? 'PUT' : 'DELETE', subject, '?tagging=');
  const sent = step.tags > 0 ? request(at, md5Header(body, true), body) : request(at);
  const told = await send(setting, step, sent, { subject });
  return written(setting, step, { subject, told, effect: subject.taggings.find(time => time >= told.startedAt) });
}
