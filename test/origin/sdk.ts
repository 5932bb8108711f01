import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { onTestFinished } from 'vitest';
import { ALICE, type Origin, type Principal } from './index.ts';

/** A client of the SDK, which is the independent judge of the origin; gone when the test is over. */
export function sdkClient(origin: Origin, principal: Principal = ALICE, more: S3ClientConfig = {}): S3Client {
  const { accessKeyId, secretAccessKey, sessionToken } = principal;
  const made = new S3Client({
    endpoint: origin.url,
    region: 'eu-central-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    ...more,
  });
  onTestFinished(() => made.destroy());
  return made;
}

export async function bytesOf(body: { transformToByteArray(): Promise<Uint8Array> } | undefined): Promise<Buffer> {
  return Buffer.from(await body!.transformToByteArray());
}

/** What a refused command throws: [status, code]. */
export async function refusal(sent: Promise<unknown>): Promise<[number | undefined, string]> {
  try {
    await sent;
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    return [$metadata?.httpStatusCode, name];
  }
  throw new Error('The command was not refused.');
}
