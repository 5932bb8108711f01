import type { Agent } from 'node:http';
import { S3Client } from '@aws-sdk/client-s3';
import { HttpProxyAgent as TunnelAgent } from 'hpagent';
import { HttpProxyAgent as AbsoluteFormAgent } from 'http-proxy-agent';
import { ALICE } from '../origin/index.ts';
import type { Place } from './places.ts';

/** The two ways in which agents that people use reach an http:// endpoint through a proxy. */
export const AGENTS: readonly (readonly [string, (proxy: string) => Agent])[] = [
  ['absolute-form requests (http-proxy-agent)', proxy => new AbsoluteFormAgent(proxy, { keepAlive: true })],
  ['a CONNECT tunnel to port 80 (hpagent)', proxy => new TunnelAgent({ proxy, keepAlive: true })],
];

export function sdkClient(place: Place, httpAgent: Agent): S3Client {
  const { accessKeyId, secretAccessKey } = ALICE;
  return new S3Client({
    endpoint: place.endpoint,
    region: 'us-east-1',
    forcePathStyle: place.way.style === 'path',
    credentials: { accessKeyId, secretAccessKey },
    requestHandler: { httpAgent },
    maxAttempts: 1,
    // http-proxy-agent 7 sends the head of a request with Expect twice, whatever the proxy: the second becomes body.
    ...(httpAgent instanceof AbsoluteFormAgent ? { expectContinueHeader: false } : {}),
  });
}
