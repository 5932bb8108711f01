import type { RawHeaders } from '../request/index.ts';
import type { ResponseHandler, Upstream, UpstreamExchange, UpstreamRequest } from '../upstream/index.ts';

/** S3's answer to a question, its body still to be decided about: dropped, or taken as the new version. */
export interface Asked {
  readonly status: number;
  readonly statusText: string;
  /** End to end. */
  readonly headers: RawHeaders;
  /** The body is of no interest. */
  discard(): void;
  /** For a flight that takes the body over: answers any request with this answer. */
  readonly upstream: Upstream;
}

/** A body up to this size is read to its end rather than cut, which would cost the connection. */
const DRAIN = 64 << 10;

/** Sends a question and resolves with the answer's head; rejects when there is none. */
export function ask(upstream: Upstream, request: UpstreamRequest, onBytes: (count: number) => void): Promise<Asked> {
  return new Promise((resolve, reject) => {
    let taker: ResponseHandler | undefined;
    let discarded = false;
    let drained = 0;
    let ended: 'complete' | Error | undefined;
    const early: Buffer[] = [];
    const exchange: UpstreamExchange = upstream.fetch(request, {
      onHeaders(status, statusText, headers) {
        resolve({
          status,
          statusText,
          headers,
          discard() {
            discarded = true;
            early.length = 0;
            exchange.resume();
          },
          upstream: handOver(status, statusText, headers, handler => {
            taker = handler;
            for (const chunk of early.splice(0)) handler.onData(chunk);
            if (ended === 'complete') handler.onComplete([]);
            else if (ended) handler.onError(ended);
            else exchange.resume();
            return exchange;
          }),
        });
      },
      onData(chunk) {
        onBytes(chunk.length);
        if (taker) return taker.onData(chunk);
        if (discarded) {
          drained += chunk.length;
          if (drained > DRAIN) exchange.abort();
          return true;
        }
        early.push(Buffer.from(chunk));
        return false;
      },
      onComplete(trailers) {
        ended = 'complete';
        taker?.onComplete(trailers);
      },
      onError(error) {
        ended = error;
        if (taker) taker.onError(error);
        else reject(error);
      },
    });
  });
}

/** An upstream for one request that has been answered already. */
function handOver(
  status: number,
  statusText: string,
  headers: RawHeaders,
  take: (handler: ResponseHandler) => UpstreamExchange,
): Upstream {
  return {
    fetch(_request, handler) {
      let exchange: UpstreamExchange | undefined;
      let stopped = false;
      queueMicrotask(() => {
        if (stopped) return;
        handler.onHeaders(status, statusText, headers);
        exchange = take(handler);
      });
      return {
        resume: () => exchange?.resume(),
        abort() {
          stopped = true;
          exchange?.abort();
        },
      };
    },
    close: async () => {},
  };
}
