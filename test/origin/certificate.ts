import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

export interface TestCertificate {
  readonly key: string;
  readonly cert: string;
  /** The authority to trust */
  readonly ca: string;
}

/** A key and a certificate for these names, from an authority made for this call: no key is kept anywhere. */
export function testCertificate(names: readonly string[], days = 2): TestCertificate {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = 'Cistern test authority';
  const ca = certificate({
    subject: issuer,
    issuer,
    publicKey: authority.publicKey,
    signer: authority.privateKey,
    days,
    extensions: [basicConstraints(true)],
  });
  const extensions = [basicConstraints(false), alternativeNames(names)];
  const cert = certificate({
    subject: names[0]!,
    issuer,
    publicKey: leaf.publicKey,
    signer: authority.privateKey,
    days,
    extensions,
  });
  return { key: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, cert: cert + ca, ca };
}

interface CertificateInput {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly days: number;
  readonly extensions: readonly Buffer[];
}

/** X.509 v3 (RFC 5280 section 4.1) in DER, signed with ECDSA and SHA-256. */
function certificate(input: CertificateInput): string {
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  const now = Date.now();
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
    algorithm,
    name(input.issuer),
    sequence(utcTime(now - 3_600_000), utcTime(now + input.days * 86_400_000)),
    name(input.subject),
    input.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...input.extensions)),
  );
  const signature = sign('sha256', toBeSigned, input.signer);
  const whole = sequence(toBeSigned, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function basicConstraints(authority: boolean): Buffer {
  const value = authority ? sequence(der(0x01, Buffer.from([0xff]))) : sequence();
  return sequence(oid('2.5.29.19'), der(0x01, Buffer.from([0xff])), der(0x04, value));
}

function alternativeNames(names: readonly string[]): Buffer {
  const entries = names.map(entry =>
    isIPv4(entry) ? der(0x87, Buffer.from(entry.split('.').map(Number))) : der(0x82, Buffer.from(entry, 'latin1')),
  );
  return sequence(oid('2.5.29.17'), der(0x04, sequence(...entries)));
}

function name(common: string): Buffer {
  return sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(common, 'utf8')))));
}

function utcTime(ms: number): Buffer {
  return der(
    0x17,
    Buffer.from(
      `${new Date(ms)
        .toISOString()
        .replace(/[-:T]|\.\d+/g, '')
        .slice(2, 14)}Z`,
      'latin1',
    ),
  );
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const digits = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return der(0x06, Buffer.from(bytes));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function der(tag: number, content: Buffer): Buffer {
  const size: number[] = [];
  for (let left = content.length; left > 0; left >>>= 8) size.unshift(left & 0xff);
  const length = content.length < 0x80 ? [content.length] : [0x80 | size.length, ...size];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}
