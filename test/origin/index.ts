import { Origin, type OriginOptions, type Principal } from '../../main/demo/origin/index.ts';
import { type TestCertificate, testCertificate } from './certificate.ts';
import { Faults } from './faults.ts';

export * from '../../main/demo/origin/index.ts';
export { type ChunkedOptions, type ChunkedUpload, chunkedUpload } from './aws-chunked.ts';
export { type TestCertificate, testCertificate } from './certificate.ts';
export { type Fault, Faults, type Match, SetFault, type Stage } from './faults.ts';

export const ALICE: Principal = {
  name: 'alice',
  accessKeyId: 'AKIAALICE00000000001',
  secretAccessKey: 'secret-of-alice',
};
export const BOB: Principal = { name: 'bob', accessKeyId: 'AKIABOB0000000000001', secretAccessKey: 'secret-of-bob' };
/** Comes with temporary credentials */
export const CAROL: Principal = {
  name: 'carol',
  accessKeyId: 'ASIACAROL00000000001',
  secretAccessKey: 'secret-of-carol',
  sessionToken: 'token/of+carol==',
};

export interface TestOriginOptions extends Omit<OriginOptions, 'hooks' | 'tls'> {
  /** Names the certificate is for, in place of localhost and 127.0.0.1; `true` for those two */
  readonly tls?: boolean | readonly string[];
}

export type TestOrigin = Origin & {
  readonly faults: Faults;
  /** What a client has to trust, with `tls` */
  readonly certificate: TestCertificate | undefined;
};

/**
 * An origin on a free port of 127.0.0.1 with a script of faults. By default one bucket, `data`, and the principals ALICE,
 * BOB and CAROL, who may all do anything (each call gets its own copies; rules are set on `origin.principals`).
 */
export async function startOrigin(options: TestOriginOptions = {}): Promise<TestOrigin> {
  const { tls, ...rest } = options;
  const faults = new Faults();
  const names = Array.isArray(tls) ? tls : ['localhost', '127.0.0.1'];
  const certificate = tls ? testCertificate(names) : undefined;
  const principals = (options.principals ?? [ALICE, BOB, CAROL]).map(principal => ({ ...principal }));
  const origin = new Origin({
    buckets: ['data'],
    ...rest,
    principals,
    hooks: faults.hooks(),
    ...(certificate ? { tls: { key: certificate.key, cert: certificate.cert } } : {}),
  });
  await origin.start();
  return Object.assign(origin, { faults, certificate });
}
