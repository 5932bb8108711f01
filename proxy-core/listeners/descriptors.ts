import { readFileSync } from 'node:fs';

/** What the files and sockets that a process may open are for. */
export interface DescriptorShares {
  /** Clients' connections at a time. */
  readonly clients: number;
  /** Further ones that may wait to hear that there are too many. */
  readonly surplus: number;
  /** Extents kept open between reads. */
  readonly extents: number;
  /** What to tell a person where it was not enough. */
  readonly advice: string;
}

/** Standard streams, the loop's own, logs, side servers, neighbours, and what the disk is asked at the moment. */
const OWN = 64;
const EXTENTS = { least: 8, most: 256 };
const LEAST_CLIENTS = 8;
/** A client has a connection of its own, and as a rule one to S3. */
const FOR_A_CLIENT = 2;
const SURPLUS = 256;

/**
 * How many files and sockets this process may open: what `ulimit -n`, `LimitNOFILE=` or a container allows, up to which Node
 * goes by itself. Undefined where the system does not say, or sets no limit.
 */
export function descriptorLimit(): number | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // In some sandboxes there is no /proc.
    return undefined;
  }
}

/**
 * Shares them out, so that more clients than there is room for are told to come again, before one of those that are being
 * served can't be: its file or its connection to S3 could not be opened.
 * @param maxConnections `server.max_connections`
 */
export function shareDescriptors(limit: number | undefined, maxConnections: number): DescriptorShares {
  const advice =
    limit === undefined
      ? 'too many files are open (EMFILE), so some clients were turned away or served without the cache. Raise the limit of the process (ulimit -n).'
      : `this process may open ${limit} files, which was not enough: some clients were turned away or served without the cache. Raise its limit (ulimit -n, or LimitNOFILE= in a systemd unit): twice server.max_connections and ${OWN + EXTENTS.most} more are plenty.`;
  if (limit === undefined) return { clients: maxConnections, surplus: maxConnections, extents: EXTENTS.most, advice };
  const extents = Math.max(EXTENTS.least, Math.min(EXTENTS.most, Math.floor(limit / 8)));
  const room = Math.max(0, limit - OWN - extents);
  const surplus = Math.min(SURPLUS, Math.max(LEAST_CLIENTS, Math.floor(room / 8)));
  const clients = Math.max(LEAST_CLIENTS, Math.floor((room - surplus) / FOR_A_CLIENT));
  return { clients: Math.min(clients, maxConnections), surplus, extents, advice };
}
