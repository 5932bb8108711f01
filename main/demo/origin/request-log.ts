import { EventEmitter, once } from 'node:events';

/** One request as the origin saw it. Made when its headers are in; status and bytes grow as it is answered. */
export interface RequestRecord {
  readonly method: string;
  /** Raw target: path and query as on the wire */
  readonly path: string;
  readonly host: string;
  /** By lower-case name, values joined by `, ` */
  readonly headers: Readonly<Record<string, string>>;
  readonly rawHeaders: readonly string[];
  bucket: string;
  key: string;
  /** Name of the signer; undefined without a valid signature */
  principal: string | undefined;
  /** 0 until there is one */
  status: number;
  /** Bytes of the request's body that were read, its framing included */
  bytesReceived: number;
  /** Body bytes handed to the connection */
  bytesSent: number;
  state: 'running' | 'done' | 'aborted';
}

/** What was asked of the origin: the judge of whether something came from a cache. */
export class RequestLog {
  readonly requests: RequestRecord[] = [];
  readonly #events = new EventEmitter().setMaxListeners(0);

  add(record: RequestRecord): void {
    this.requests.push(record);
    this.#events.emit('change');
  }

  /** To be called when a record has changed. */
  changed(): void {
    this.#events.emit('change');
  }

  /** The first request, past or coming, for which `matches` holds; by default one whose headers have arrived. */
  async waitFor(matches: (record: RequestRecord) => boolean): Promise<RequestRecord> {
    for (;;) {
      const found = this.requests.find(matches);
      if (found) return found;
      await once(this.#events, 'change');
    }
  }

  /** How many GETs of this key got content (200 or 206). `bucket` narrows it to one bucket. */
  bodiesServed(key: string, bucket?: string): number {
    return this.#bodies(key, bucket).length;
  }

  bytesServed(key: string, bucket?: string): number {
    return this.#bodies(key, bucket).reduce((sum, record) => sum + record.bytesSent, 0);
  }

  /** Requests for this key, of one method where it is given. */
  requestsFor(key: string, method?: string): RequestRecord[] {
    return this.requests.filter(record => record.key === key && (method === undefined || record.method === method));
  }

  reset(): void {
    this.requests.length = 0;
  }

  #bodies(key: string, bucket: string | undefined): RequestRecord[] {
    const content = (record: RequestRecord) =>
      record.method === 'GET' && (record.status === 200 || record.status === 206);
    return this.requestsFor(key).filter(
      record => content(record) && (bucket === undefined || record.bucket === bucket),
    );
  }
}
