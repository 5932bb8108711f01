import type { ChecksumAlgorithm } from '../origin/index.ts';
import { type Setting, send, type Told, type Written, where, written } from './sending.ts';
import type { Subject } from './world.ts';
import { base64, request, uploadRequest } from './write-requests.ts';
import { DESCRIPTIONS, type Multipart, type UploadedPart } from './write-steps.ts';

/** A part as Complete names it. */
interface Named {
  readonly number: number;
  readonly etag: string;
  readonly sum: string | undefined;
}

interface Upload {
  readonly subject: Subject;
  readonly query: string;
  readonly algorithm: ChecksumAlgorithm | 'none';
}

/** How often a client tries a part. */
const TRIES = 3;

/** A multipart upload from its beginning to whatever end it comes to. */
export async function writeMultipart(step: Multipart, setting: Setting): Promise<Written[]> {
  const { world } = setting;
  const subject = setting.subject(step.of);
  const size = step.parts.reduce((sum, part) => sum + part.size, 0);
  const isCopied = step.parts.some(({ copied }) => copied);
  const { id, content } = world.announce(size);
  // What copied parts bring, only the origin knows.
  const own = isCopied ? world.announceId() : id;
  const algorithm = step.checksum === 'crc32 whole' ? 'crc32' : step.checksum;
  const headers = ['x-amz-meta-version', own, ...DESCRIPTIONS[step.about]!];
  if (algorithm !== 'none') headers.push('x-amz-checksum-algorithm', algorithm.toUpperCase());
  if (step.checksum === 'crc32 whole') headers.push('x-amz-checksum-type', 'FULL_OBJECT');
  const plainly = { trouble: 'none', at: step.at } as const;
  const create = request(where(setting, step.createVia, 'POST', subject, '?uploads='), headers);
  const begun = await send(setting, { ...plainly, via: step.createVia }, create, { subject });
  const uploadId = /<UploadId>([^<]+)</.exec(begun.answer.body)?.[1];
  if (begun.outcome !== 'done' || uploadId === undefined) return [];
  const over = setting.uploadBegun(subject, uploadId);
  const upload = { subject, query: `uploadId=${uploadId}`, algorithm };
  const parts = await uploadParts(step, setting, upload, content.bytes);
  if (step.end === 'abandon' || !parts) return [];
  if (step.end === 'abort') {
    const told = await send(setting, step, request(where(setting, step.via, 'DELETE', subject, `?${upload.query}`)), {
      subject,
    });
    if (told.outcome === 'done') over();
    return [];
  }
  const named =
    step.end === 'complete old'
      ? [{ ...parts[0]!, etag: '"0123456789abcdef0123456789abcdef"' }, ...parts.slice(1)]
      : parts;
  const results: Written[] = [];
  const end = async (how: { via: Multipart['via']; trouble: Multipart['trouble']; at: number }) => {
    const told = await complete(step, setting, upload, named, how);
    if (told.outcome === 'done') over();
    results.push(written(setting, how, { subject, told, id: own, keeps: !isCopied }));
    return told.outcome;
  };
  // Who was not told what became of it asks once more.
  if ((await end(step)) === 'unknown') await end({ ...plainly, via: step.via });
  return results;
}

/** The parts with the ETags that S3 gave them, in the order of their numbers; undefined where one can't be had. */
async function uploadParts(
  step: Multipart,
  setting: Setting,
  upload: Upload,
  content: Buffer,
): Promise<Named[] | undefined> {
  let end = 0;
  const parts = step.parts.map((part, i) => {
    end += part.size;
    return { part, number: step.numbers === 'even' ? 2 * i + 2 : i + 1, bytes: content.subarray(end - part.size, end) };
  });
  const one = ({ part, number, bytes }: (typeof parts)[number]) => uploadPart(part, number, setting, upload, bytes);
  const named: (Named | undefined)[] = [];
  if (step.order === 'at once') named.push(...(await Promise.all(parts.map(one))));
  else for (const each of step.order === 'ascending' ? parts : parts.toReversed()) named.push(await one(each));
  const got = named.filter(part => part !== undefined).sort((a, b) => a.number - b.number);
  return got.length === parts.length ? got : undefined;
}

async function uploadPart(
  part: UploadedPart,
  number: number,
  setting: Setting,
  upload: Upload,
  bytes: Buffer,
): Promise<Named | undefined> {
  const { subject, algorithm } = upload;
  const query = `?partNumber=${number}&${upload.query}`;
  const { via, form } = part;
  const once = (content: Buffer, trouble: UploadedPart['trouble']) => {
    const sent = uploadRequest(where(setting, via, 'PUT', subject, query), content, {
      form,
      checksum: algorithm,
      headers: [],
    });
    return send(setting, { via, trouble, at: bytes.length >> 1 }, sent, { subject });
  };
  if (part.copied) {
    const copied = await copyPart(part, setting, upload, query);
    if (copied) return { number, ...copied };
  }
  if (part.twice) await once(setting.world.announce(bytes.length).content.bytes, 'none');
  for (let tries = 0; tries < TRIES; tries++) {
    const { answer, outcome } = await once(bytes, tries === 0 ? part.trouble : 'none');
    const etag = answer.header('etag');
    if (outcome === 'done' && etag !== undefined)
      return { number, etag, sum: algorithm === 'none' ? undefined : base64(algorithm, bytes) };
  }
  return undefined;
}

/** As many bytes of another object as the part is to have; undefined where that has no such bytes. */
async function copyPart(
  { via, size }: UploadedPart,
  setting: Setting,
  { subject, algorithm }: Upload,
  query: string,
): Promise<Omit<Named, 'number'> | undefined> {
  const source = (['plain', 'guarded', 'open'] as const)
    .map(thing => setting.subject(thing))
    .find(({ versions }) => (versions.now?.bytes.length ?? 0) >= size);
  if (!source) return undefined;
  const headers = [
    'x-amz-copy-source',
    `/${source.bucket}/${source.key}`,
    'x-amz-copy-source-range',
    `bytes=0-${size - 1}`,
  ];
  const sent = request(where(setting, via, 'PUT', subject, query), headers);
  const { answer, outcome } = await send(setting, { via, trouble: 'none', at: 0 }, sent, { subject, byBody: true });
  const etag = /<ETag>([^<]+)</.exec(answer.body)?.[1]?.replaceAll('&quot;', '"');
  if (outcome !== 'done' || etag === undefined) return undefined;
  return { etag, sum: new RegExp(`<Checksum${algorithm.toUpperCase()}>([^<]+)<`).exec(answer.body)?.[1] };
}

function complete(
  { checksum }: Multipart,
  setting: Setting,
  { subject, query, algorithm }: Upload,
  parts: readonly Named[],
  how: { via: Multipart['via']; trouble: Multipart['trouble']; at: number },
): Promise<Told> {
  const isComposite = checksum === 'crc32' || checksum === 'sha256';
  const element = `Checksum${algorithm.toUpperCase()}`;
  const entries = parts.map(({ number, etag, sum }) => {
    const vouched = isComposite && sum !== undefined ? `<${element}>${sum}</${element}>` : '';
    return `<Part><PartNumber>${number}</PartNumber><ETag>${etag.replaceAll('"', '&quot;')}</ETag>${vouched}</Part>`;
  });
  const body = Buffer.from(`<CompleteMultipartUpload>${entries.join('')}</CompleteMultipartUpload>`);
  const sent = request(
    where(setting, how.via, 'POST', subject, `?${query}`),
    ['Content-Type', 'application/xml'],
    body,
  );
  return send(setting, how, sent, { subject, byBody: true });
}
