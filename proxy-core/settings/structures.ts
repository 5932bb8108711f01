import { isIP } from 'node:net';
import type { TUnsafe } from '@sinclair/typebox';
import { parse } from 'yaml';
import { make, structure } from './leaf.ts';
import { parseSize } from './units.ts';

/** The settings that are more than one value: lists and maps of the connection pool, and the floor of free space. */

export type FreeSpace = { readonly percent: number } | { readonly bytes: number };

export interface UpstreamOverride {
  readonly scheme: 'http' | 'https';
  /** `host` or `host:port` to connect to instead; Host and TLS server name stay what the client sent. */
  readonly address?: string;
  readonly validate_tls: boolean;
}

export function freeSpace(standard: string, description: string): TUnsafe<FreeSpace> {
  return make<FreeSpace>(
    { anyOf: [{ type: 'string' }, { type: 'integer', minimum: 0 }] },
    {
      kind: 'value',
      default: standard,
      allowed: 'a share of the volume such as 5% (0% to 99%), or a size such as 20GiB',
      read: raw => {
        const percent = typeof raw === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(raw) : null;
        if (percent) return Number(percent[1]) <= 99 ? { percent: Number(percent[1]) } : undefined;
        const bytes = parseSize(raw);
        return bytes === undefined ? undefined : { bytes };
      },
    },
    description,
  );
}

export function addresses(description: string): TUnsafe<readonly string[]> {
  return structure<readonly string[]>(
    { type: 'array', items: { type: 'string' } },
    {
      default: [],
      allowed: 'a list of IP addresses',
      read: (raw, text) => {
        const value = text ? untext(raw) : raw;
        const items = typeof value === 'string' && text ? value.split(',').map(item => item.trim()) : value;
        return isAddresses(items) ? items : undefined;
      },
    },
    description,
  );
}

export function endpointOverrides(description: string): TUnsafe<Readonly<Record<string, readonly string[]>>> {
  return structure<Readonly<Record<string, readonly string[]>>>(
    {
      type: 'object',
      additionalProperties: { type: 'array', items: { type: 'string' }, minItems: 1 },
    },
    {
      default: {},
      allowed: 'a map from a host name or *.suffix to a list of IP addresses',
      read: (raw, text) =>
        entries(text ? untext(raw) : raw, (name, value) =>
          HOST_PATTERN.test(name) && isAddresses(value) && value.length > 0
            ? [name.toLowerCase().replace(/\.$/, ''), value]
            : undefined,
        ),
    },
    description,
  );
}

export function upstreamOverrides(description: string): TUnsafe<Readonly<Record<string, UpstreamOverride>>> {
  return structure<Readonly<Record<string, UpstreamOverride>>>(
    {
      type: 'object',
      additionalProperties: {
        type: 'object',
        properties: {
          scheme: { type: 'string', enum: ['http', 'https'] },
          address: { type: 'string' },
          validate_tls: { type: 'boolean', default: true },
        },
        required: ['scheme'],
        additionalProperties: false,
      },
    },
    {
      default: {},
      allowed:
        'a map from host:port to { scheme: http or https, address: host or host:port (optional), validate_tls: true or false (optional) }',
      read: (raw, text) =>
        entries(text ? untext(raw) : raw, (name, value) => {
          const override = readOverride(value);
          return override && hostPort(name)?.port !== undefined ? [name.toLowerCase(), override] : undefined;
        }),
    },
    description,
  );
}

/** Empty = none. A password in it never appears in a message. */
export function proxyUrl(description: string): TUnsafe<string> {
  return make<string>(
    { type: 'string' },
    {
      kind: 'value',
      default: '',
      secret: true,
      allowed: 'a URL such as http://proxy.example:3128 or http://user:password@proxy.example:3128, or nothing',
      read: raw => {
        if (raw === '') return '';
        if (typeof raw !== 'string' || !URL.canParse(raw)) return undefined;
        const url = new URL(raw);
        return ['http:', 'https:'].includes(url.protocol) && url.hostname !== '' && url.pathname === '/'
          ? raw
          : undefined;
      },
    },
    description,
  );
}

const HOST_PATTERN = /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

function readOverride(raw: unknown): UpstreamOverride | undefined {
  if (!isMap(raw)) return undefined;
  const { scheme, address, validate_tls = true, ...rest } = raw;
  if (Object.keys(rest).length > 0 || (scheme !== 'http' && scheme !== 'https')) return undefined;
  if (typeof validate_tls !== 'boolean') return undefined;
  if (address === undefined) return { scheme, validate_tls };
  return typeof address === 'string' && hostPort(address) ? { scheme, address, validate_tls } : undefined;
}

function hostPort(text: string): { host: string; port: number | undefined } | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(text);
  if (!match) return undefined;
  const host = match[1]!;
  const port = match[2] === undefined ? undefined : Number(match[2]);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  const good = host.startsWith('[') ? isIP(host.slice(1, -1)) === 6 : HOST_PATTERN.test(host) && !host.startsWith('*');
  return good ? { host, port } : undefined;
}

function entries<T>(
  raw: unknown,
  one: (name: string, value: unknown) => readonly [string, T] | undefined,
): Readonly<Record<string, T>> | undefined {
  if (!isMap(raw)) return undefined;
  const read = Object.entries(raw).map(([name, value]) => one(name, value));
  return read.every(entry => entry !== undefined) ? Object.fromEntries(read) : undefined;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isAddresses(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string' && isIP(item) > 0);
}

/** Lists and maps in an environment variable or flag are YAML, of which JSON is a part. What is neither stays a word. */
function untext(raw: unknown): unknown {
  if (typeof raw !== 'string') return raw;
  try {
    return parse(raw);
  } catch {
    return raw;
  }
}
