import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface NeighboursOptions {
  /** Another process has given these objects, by their store keys, new epochs. */
  readonly onMoved: (storeKeys: readonly string[]) => void;
  /** One that is not known yet has come. */
  readonly onMet: () => void;
  /** One has ended without a word: what it was about to tell of nobody knows. */
  readonly onLost: () => void;
}

/** A path of a Unix domain socket must fit `sun_path`, 104 bytes on macOS; what is longer, some versions of Node cut off without a word. */
const LONGEST_PATH = 103;
/** How long a writer's client may wait for a neighbour to have heard, ms. */
const PATIENCE = 200;
/** How long a start may wait until neighbours know of it, ms. */
const MEETING = 500;
/** A message: 1,000 keys of 1,024 bytes, each byte up to six chars of JSON, with room to spare. */
const LONGEST = 16 << 20;
const HEARD = 'heard';
/** Said by one that ends in order. */
const BYE = 'bye';

/**
 * The other processes on this machine that use the cache folder, which hear of each write before the writer's client does. It
 * makes them look at the volume sooner than they would (once a second for an object in memory), and nothing rests on it: on
 * another machine, or where a socket can't be had, that second is what a read may be behind.
 *
 * Each listens on a Unix domain socket (a named pipe on Windows) in a folder that only its user can enter, and names it in its
 * instance file. A message is a line of JSON, an array of store keys as latin1, which is answered by `heard`; the last line is
 * `bye`. A connection that ends without it is that of a process that was killed, perhaps while S3 carried out a write of its.
 */
export class Neighbours {
  readonly #options: NeighboursOptions;
  readonly #peers = new Map<string, Peer>();
  readonly #callers = new Set<Socket>();
  #server: Server | undefined;
  #folder: string | undefined;
  #address: string | undefined;
  #onCall: (() => void) | undefined;

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

  /**
   * Those that have shown a heartbeat lately. One that is missing is not gone for it: its file may have been read while it was being
   * written. That a connection ends tells so.
   */
  meet(addresses: readonly string[]): void {
    for (const [address, peer] of this.#peers) if (!peer.open) this.#peers.delete(address);
    for (const address of addresses)
      if (!this.#peers.has(address) && this.#address !== undefined)
        this.#peers.set(address, new Peer(address, { onLost: this.#options.onLost, onClose: () => this.#onCall?.() }));
  }

  /**
   * Resolves when each neighbour that was met has met this process, too, and so tells it of its writes; or when patience is at its
   * end. Until then this process may be a second behind them.
   */
  async known(): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    await new Promise<void>(resolve => {
      late = setTimeout(resolve, MEETING);
      this.#onCall = () => {
        if (this.#callers.size >= [...this.#peers.values()].filter(({ open }) => open).length) resolve();
      };
      this.#onCall();
    });
    clearTimeout(late);
    this.#onCall = undefined;
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
    for (const socket of this.#callers) socket.end(`${BYE}\n`).destroySoon();
    this.#server?.close();
    this.#address = undefined;
    await this.#removeFolder();
  }

  #serve(socket: Socket): void {
    this.#callers.add(socket);
    this.#options.onMet();
    this.#onCall?.();
    let rest = '';
    socket
      .setEncoding('latin1')
      .on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const keys = keysOf(line);
          if (keys) this.#options.onMoved(keys);
          if (keys) socket.write(`${HEARD}\n`);
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
  #rest = '';
  #connected = false;
  /** It said that it ends, or this process has ended it. */
  #parted = false;

  constructor(address: string, { onLost, onClose }: { readonly onLost: () => void; readonly onClose: () => void }) {
    this.#socket = connect({ path: address })
      .setEncoding('latin1')
      .on('connect', () => {
        this.#connected = true;
      })
      .on('data', (text: string) => {
        const lines = (this.#rest + text).split('\n');
        this.#rest = lines.pop() ?? '';
        for (const line of lines) {
          if (line === HEARD) this.#waiting.shift()?.();
          if (line === BYE) this.#parted = true;
        }
      })
      .on('error', () => {})
      .on('close', () => {
        for (const heard of this.#waiting.splice(0)) heard();
        if (this.#connected && !this.#parted) onLost();
        onClose();
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
    this.#parted = true;
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
