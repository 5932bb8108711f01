import { bufferBody } from './bodies.ts';
import { CHECKSUM_ALGORITHMS, type Checksum, DEFAULT_ALGORITHM, digest } from './checksums.ts';
import { S3Error } from './errors.ts';
import { type Form, parseForm, utf8 } from './form-data.ts';
import { verifyPolicy } from './form-policy.ts';
import { type Context, checksumHeader, EMPTY, type Reply, type S3Request, xmlReply } from './message.ts';
import { mayDo, type Principal } from './principals.ts';
import { written } from './put-object.ts';
import { newObject, type StoredObject } from './store.ts';
import { keptHeaders } from './stored-headers.ts';
import { tagsOf } from './tagging.ts';
import { wrongChecksum } from './uploads.ts';
import { element, parseXml, xmlDocument } from './xml.ts';

/** A browser's upload ("Browser-Based Uploads Using POST"): the signature is over the policy, in the form itself. */
export async function postForm(request: S3Request, context: Context, principals: readonly Principal[]): Promise<Reply> {
  const bucket = context.store.bucket(request.bucket);
  const pieces: Buffer[] = [];
  for await (const piece of request.body()) pieces.push(piece);
  const form = parseForm(Buffer.concat(pieces), request.header('content-type') ?? '');
  const template = form.fields.get('key');
  if (template === undefined)
    throw new S3Error('InvalidArgument', "Bucket POST must contain a field named 'key'.", { ArgumentName: 'key' });
  const key = utf8(template).replace(/\$\{filename\}/g, () => form.fileName);
  const principal = verifyPolicy(form, principals, request.bucket, key, context.now);
  const allowed = principal ? mayDo(principal, 'write', bucket.name, key) : bucket.anonymous === 'write';
  if (!allowed) throw new S3Error('AccessDenied', 'Access Denied');
  const tagging = form.fields.get('tagging');
  const given = {
    key,
    body: bufferBody(form.file),
    headers: keptHeaders([...form.fields].flat()),
    checksums: [checksumOf(form)],
    tags: tagging === undefined ? [] : tagsOf(parseXml(Buffer.from(tagging, 'latin1'), 'Tagging')),
  };
  const object = newObject(bucket, given, context.now);
  bucket.put(object);
  return answer(request, form.fields, object, written(bucket, object));
}

/** 204 unless the form asks for 200, for 201 with XML, or to be sent elsewhere (303). */
function answer(
  request: S3Request,
  fields: ReadonlyMap<string, string>,
  { key, etag }: StoredObject,
  about: readonly string[],
): Reply {
  const { bucket } = request;
  const redirect = fields.get('success_action_redirect') ?? fields.get('redirect');
  if (redirect !== undefined && URL.canParse(redirect)) {
    const target = new URL(redirect);
    for (const [name, value] of Object.entries({ bucket, key, etag })) target.searchParams.append(name, value);
    return { status: 303, headers: ['ETag', etag, ...about, 'Location', target.href], body: EMPTY };
  }
  const status = fields.get('success_action_status');
  const path = `${request.target === '/' ? '' : `/${bucket}`}/${encodeURIComponent(key).replaceAll('%2F', '/')}`;
  const location = `http://${request.host}${path}`;
  const headers = ['ETag', etag, ...about, 'Location', location];
  if (status === '201') {
    const inner =
      element('Location', location) + element('Bucket', bucket) + element('Key', key) + element('ETag', etag);
    return xmlReply(xmlDocument('PostResponse', inner), 201, headers);
  }
  return status === '200' ? { status: 200, headers, body: EMPTY } : { status: 204, headers };
}

function checksumOf({ fields, file }: Form): Checksum {
  const algorithm = CHECKSUM_ALGORITHMS.find(name => fields.has(checksumHeader(name))) ?? DEFAULT_ALGORITHM;
  const value = digest(algorithm, [file]).toString('base64');
  const came = fields.get(checksumHeader(algorithm));
  if (came !== undefined && came !== value) throw wrongChecksum(algorithm);
  return { algorithm, value, type: 'FULL_OBJECT' };
}
