import type { Socket } from 'node:net';

/** Where connections come from in a process that has no port of its own: another one accepts them and hands them on. */
export interface Inlet {
  /** Where the other one listens. */
  readonly address: Listening;
  /** From now on each connection goes to `take`. Nothing has been read from it. */
  open(take: (socket: Socket) => void): void;
  /** Takes no more. */
  close(): void;
}

export interface Listening {
  readonly address: string;
  readonly port: number;
}
