import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface NeighboursOptions {
  /** Another process has given these objects, by their store keys, new epochs. */
  readonly onMoved: (storeKeys: readonly string[]) => void;
  /** One that is not known yet has come. */
  readonly onMet: () => void;
}

/** A path of a Unix domain socket must fit `sun_path`, 104 bytes on macOS; what is longer, some versions of Node cut off without a word. */
const LONGEST_PATH = 103;
/** How long a writer's client may wait for a neighbour to have heard, ms. */
const PATIENCE = 200;
/** A message: 1,000 keys of 1,024 bytes, each byte up to six chars of JSON, with room to spare. */
const LONGEST = 16 << 20;
const HEARD = 'heard\n';

/**
 * The other processes on this machine that use the cache folder, which hear of each write before the writer's client does. It
 * makes them look at the volume sooner than they would (once a second for an object in memory), and nothing rests on it: on
 * another machine, or where a socket can't be had, that second is what a read may be behind.
 *
 * Each listens on a Unix domain socket (a named pipe on Windows) in a folder that only its user can enter, and names it in its
 * instance file. A message is a line of JSON, an array of store keys as latin1, which is answered by `heard`.
 */
export class Neighbours {
  readonly #options: NeighboursOptions;
  readonly #peers = new Map<string, Peer>();
  readonly #callers = new Set<Socket>();
  #server: Server | undefined;
  #folder: string | undefined;
  #address: string | undefined;

  constructor(options: NeighboursOptions) {
    this.#options = options;
  }

  /** Where this process listens; undefined where it can't. */
  get address(): string | undefined {
    return this.#address;
  }

  /** Never rejects. */
  async start(id: string): Promise<void> {
    try {
      this.#folder = process.platform === 'win32' ? undefined : await mkdtemp(join(tmpdir(), 'cistern-'));
      const address = this.#folder === undefined ? `\\\\.\\pipe\\cistern-${id}` : `${this.#folder}/n`;
      if (Buffer.byteLength(address) > LONGEST_PATH) throw new Error(`${address} is too long for a socket`);
      const server = createServer(socket => this.#serve(socket));
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(address, resolve);
      });
      server.on('error', () => {}).unref();
      this.#server = server;
      this.#address = address;
    } catch {
      // A path that is too long, or a folder that takes no sockets: the others see writes within a second.
      await this.#removeFolder();
    }
  }

  /** Those that have shown a heartbeat lately. */
  meet(addresses: readonly string[]): void {
    for (const [address, peer] of this.#peers) {
      if (peer.open && addresses.includes(address)) continue;
      peer.close();
      this.#peers.delete(address);
    }
    for (const address of addresses)
      if (!this.#peers.has(address) && this.#address !== undefined) this.#peers.set(address, new Peer(address));
  }

  /** Resolves when all have heard, or patience is at its end. */
  async tell(storeKeys: readonly string[]): Promise<void> {
    if (this.#peers.size === 0) return;
    const line = `${JSON.stringify(storeKeys)}\n`;
    await Promise.all([...this.#peers.values()].map(peer => peer.tell(line)));
  }

  async stop(): Promise<void> {
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
    for (const socket of this.#callers) socket.destroy();
    this.#server?.close();
    this.#address = undefined;
    await this.#removeFolder();
  }

  #serve(socket: Socket): void {
    this.#callers.add(socket);
    this.#options.onMet();
    let rest = '';
    socket
      .setEncoding('latin1')
      .on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const keys = keysOf(line);
          if (keys) this.#options.onMoved(keys);
          if (keys) socket.write(HEARD);
          else socket.destroy();
        }
        if (rest.length > LONGEST) socket.destroy();
      })
      .on('error', () => {})
      .on('close', () => this.#callers.delete(socket))
      .unref();
  }

  async #removeFolder(): Promise<void> {
    const folder = this.#folder;
    this.#folder = undefined;
    if (folder !== undefined) await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** A neighbour that hears from this process. */
class Peer {
  readonly #socket: Socket;
  /** Of messages that have not been answered, in order. */
  readonly #waiting: (() => void)[] = [];
  #heard = '';

  constructor(address: string) {
    this.#socket = connect({ path: address })
      .setEncoding('latin1')
      .on('data', (text: string) => {
        for (this.#heard += text; this.#heard.startsWith(HEARD); this.#heard = this.#heard.slice(HEARD.length))
          this.#waiting.shift()?.();
      })
      .on('error', () => {})
      .on('close', () => {
        for (const heard of this.#waiting.splice(0)) heard();
      })
      .unref();
  }

  get open(): boolean {
    return !this.#socket.destroyed;
  }

  tell(line: string): Promise<void> {
    if (!this.open) return Promise.resolve();
    return new Promise(resolve => {
      // One that doesn't answer has stopped, or hangs: it is met again at its next heartbeat.
      const late = setTimeout(() => this.close(), PATIENCE);
      this.#waiting.push(() => {
        clearTimeout(late);
        resolve();
      });
      this.#socket.write(line, 'latin1');
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

function keysOf(line: string): readonly string[] | undefined {
  try {
    const keys: unknown = JSON.parse(line);
    return Array.isArray(keys) && keys.every(key => typeof key === 'string') ? keys : undefined;
  } catch {
    return undefined;
  }
}
