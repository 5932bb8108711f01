import type { Socket } from 'node:net';
import type { Inlet, Listening } from '../../../proxy-core/listeners/index.ts';

/** Connections that the primary hands to this process; it is told how many have been taken and are open. */
export class HandedConnections implements Inlet {
  readonly address: Listening;
  readonly #tell: (taken: number, open: number) => void;
  #take: ((socket: Socket) => void) | undefined;
  /** How many have come in all. */
  taken = 0;
  #open = 0;
  #telling: NodeJS.Immediate | undefined;

  constructor(address: Listening, tell: (taken: number, open: number) => void) {
    this.address = address;
    this.#tell = tell;
  }

  open(take: (socket: Socket) => void): void {
    this.#take = take;
  }

  close(): void {
    this.#take = undefined;
  }

  /** @param socket undefined where the client has gone in the meantime */
  hand(socket: Socket | undefined): void {
    this.taken++;
    if (socket && this.#take) {
      this.#open++;
      socket.once('close', () => {
        this.#open--;
        this.#tellSoon();
      });
      this.#take(socket);
    } else socket?.destroy();
    this.#tellSoon();
  }

  /** Once for all that changes in one turn of the loop. */
  #tellSoon(): void {
    this.#telling ??= setImmediate(() => {
      this.#telling = undefined;
      this.#tell(this.taken, this.#open);
    });
  }
}
