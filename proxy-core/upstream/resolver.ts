import { Resolver as DnsResolver, lookup } from 'node:dns/promises';

export type Lookup = (name: string) => Promise<readonly string[]>;

/** The addresses of one name, IPv4 first. `version` changes with them. */
export interface Resolved {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly version: number;
}

/**
 * Names and their addresses. What is known is used at once and refreshed in the background: a lookup that is slow or
 * fails costs nobody who came before it.
 */
export class Resolver {
  readonly #lookup: Lookup;
  readonly #entries = new Map<string, Entry>();
  readonly #pending = new Map<string, Promise<Resolved>>();
  readonly #timer: NodeJS.Timeout;
  #round = 0;

  constructor(options: { readonly lookup: Lookup; readonly refreshInterval: number }) {
    this.#lookup = options.lookup;
    this.#timer = setInterval(() => void this.refresh(), options.refreshInterval).unref();
  }

  /** Known addresses at once, unknown ones when they are found. Rejects with the lookup's error. */
  resolve(name: string): Resolved | Promise<Resolved> {
    const entry = this.#entries.get(name);
    if (entry) {
      entry.used = this.#round;
      return entry;
    }
    const running = this.#pending.get(name);
    if (running) return running;
    const promise = this.#lookup(name).then(found => {
      const added = { name, addresses: ordered(name, found), version: 1, used: this.#round };
      this.#entries.set(name, added);
      return added;
    });
    this.#pending.set(name, promise);
    const forget = () => this.#pending.delete(name);
    promise.then(forget, forget);
    return promise;
  }

  /** Looks every name up again that was used of late, and forgets the others. Names that fail keep what they had. */
  async refresh(): Promise<void> {
    this.#round++;
    const current = [...this.#entries.values()].filter(entry => {
      if (this.#round - entry.used <= UNUSED_ROUNDS) return true;
      this.#entries.delete(entry.name);
      return false;
    });
    await Promise.allSettled(
      current.map(async entry => {
        const addresses = ordered(entry.name, await this.#lookup(entry.name));
        if (addresses.join() === entry.addresses.join()) return;
        entry.addresses = addresses;
        entry.version++;
      }),
    );
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

interface Entry extends Resolved {
  addresses: readonly string[];
  version: number;
  used: number;
}

/** Refreshes that a name survives without being asked for. */
const UNUSED_ROUNDS = 10;

/** The system's resolver (hosts file, nsswitch), or the given DNS servers. */
export function createLookup(servers: readonly string[]): Lookup {
  if (servers.length === 0) {
    return async name => (await lookup(name, { all: true, order: 'ipv4first' })).map(found => found.address);
  }
  const resolver = new DnsResolver({ timeout: 2_000, tries: 2 });
  resolver.setServers([...servers]);
  return async name => {
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const found = [v4, v6].flatMap(result => (result.status === 'fulfilled' ? result.value : []));
    if (found.length === 0 && v4.status === 'rejected') throw v4.reason;
    return found;
  };
}

/** Sorted, so that an answer that only turned its list around is no change. Throws where there is nothing. */
function ordered(name: string, addresses: readonly string[]): readonly string[] {
  if (addresses.length === 0) throw Object.assign(new Error(`no address for ${name}`), { code: 'ENODATA' });
  const family = (address: string) => (address.includes(':') ? 1 : 0);
  return [...new Set(addresses)].sort((a, b) => family(a) - family(b) || (a < b ? -1 : 1));
}
