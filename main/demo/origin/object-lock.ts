import { S3Error } from './errors.ts';
import { findObject } from './find-object.ts';
import { type Context, EMPTY, type Reply, type S3Request, xmlReply } from './message.ts';
import type { Bucket, Retention, StoredObject } from './store.ts';
import { readXml } from './uploads.ts';
import { element, text, xmlDocument } from './xml.ts';

type Held = Pick<StoredObject, 'retention' | 'legalHold'>;

/** What a write's headers say of how long the new version is to be held. */
export function lockOf(request: S3Request, bucket: Bucket): Held {
  const [mode, until, hold] = ['mode', 'retain-until-date', 'legal-hold'].map(name =>
    request.amz(`x-amz-object-lock-${name}`),
  );
  if ([mode, until, hold].some(value => value !== undefined)) requireLock(bucket);
  if ((mode === undefined) !== (until === undefined)) {
    const message = 'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied';
    throw new S3Error('InvalidArgument', message);
  }
  return {
    retention: mode === undefined ? undefined : retention(mode, until),
    legalHold: hold === undefined ? undefined : hold === 'ON',
  };
}

/** As GET and HEAD tell it. */
export function lockHeaders({ retention: held, legalHold }: Held): string[] {
  const headers = held
    ? ['x-amz-object-lock-mode', held.mode, 'x-amz-object-lock-retain-until-date', new Date(held.until).toISOString()]
    : [];
  return legalHold === undefined ? headers : [...headers, 'x-amz-object-lock-legal-hold', legalHold ? 'ON' : 'OFF'];
}

/** Deleting a version that is held is refused; a delete marker in front of it is not. */
export function checkLock(object: StoredObject | undefined, request: S3Request, now: number): void {
  if (!object) return;
  const governed = object.retention?.mode === 'GOVERNANCE';
  const bypassed = governed && request.amz('x-amz-bypass-governance-retention')?.toLowerCase() === 'true';
  const retained = (object.retention?.until ?? 0) > now && !bypassed;
  if (!retained && !object.legalHold) return;
  throw new S3Error('AccessDenied', 'Access Denied because object protected by object lock.');
}

export function getRetention(request: S3Request, context: Context): Reply {
  const { retention: held } = target(request, context, 'read');
  if (!held) throw notConfigured();
  const inner = element('Mode', held.mode) + element('RetainUntilDate', new Date(held.until).toISOString());
  return xmlReply(xmlDocument('Retention', inner));
}

export async function putRetention(request: S3Request, context: Context): Promise<Reply> {
  const object = target(request, context, 'write');
  const asked = await readXml(request, 'Retention');
  const wanted = retention(text(asked, 'Mode')?.trim(), text(asked, 'RetainUntilDate')?.trim());
  if (wanted.until <= context.now) {
    throw new S3Error('InvalidArgument', 'The retain until date must be in the future!');
  }
  if (object.retention && wanted.until < object.retention.until) checkLock(object, request, context.now);
  object.retention = wanted;
  return { status: 200, headers: [], body: EMPTY };
}

export function getLegalHold(request: S3Request, context: Context): Reply {
  const { legalHold } = target(request, context, 'read');
  if (legalHold === undefined) throw notConfigured();
  return xmlReply(xmlDocument('LegalHold', element('Status', legalHold ? 'ON' : 'OFF')));
}

export async function putLegalHold(request: S3Request, context: Context): Promise<Reply> {
  const object = target(request, context, 'write');
  object.legalHold = text(await readXml(request, 'LegalHold'), 'Status')?.trim() === 'ON';
  return { status: 200, headers: [], body: EMPTY };
}

export function getLockConfiguration(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('read', bucket, undefined);
  if (!bucket.objectLock) {
    const message = 'Object Lock configuration does not exist for this bucket';
    throw new S3Error('ObjectLockConfigurationNotFoundError', message, { BucketName: bucket.name });
  }
  return xmlReply(xmlDocument('ObjectLockConfiguration', element('ObjectLockEnabled', 'Enabled')));
}

function target(request: S3Request, context: Context, action: 'read' | 'write'): StoredObject {
  const bucket = context.store.bucket(request.bucket);
  context.require(action, bucket, request.key);
  requireLock(bucket);
  return findObject(request, context, bucket, request.key, request.query.get('versionId'));
}

function requireLock(bucket: Bucket): void {
  if (!bucket.objectLock) throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration');
}

function retention(mode: string | undefined, until: string | undefined): Retention {
  const at = Date.parse(until ?? '');
  if ((mode === 'GOVERNANCE' || mode === 'COMPLIANCE') && !Number.isNaN(at)) return { mode, until: at };
  throw new S3Error('MalformedXML', 'The XML you provided was not well-formed or did not validate.');
}

function notConfigured(): S3Error {
  const message = 'The specified object does not have a ObjectLock configuration';
  return new S3Error('NoSuchObjectLockConfiguration', message);
}
