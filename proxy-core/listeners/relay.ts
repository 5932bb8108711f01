import type { ResponseHandler, S3Upstream, UpstreamExchange } from '../upstream/index.ts';
import { Answer, type Outgoing, type RelayOptions } from './answer.ts';
import { StreamedRequest } from './streamed-request.ts';
import type { Exchange } from './types.ts';

export type { RelayOptions } from './answer.ts';

/** Passes a request on and its answer back, both untouched but for what is between two hops only. */
export function relay(exchange: Exchange, upstream: S3Upstream, options: RelayOptions = {}): void {
  const answer = new Answer(exchange, options);
  if (answer.gone) return;
  if (isPlain(exchange)) {
    const { method, authority, scheme, target, headers } = exchange;
    answer.outgoing = new PlainRequest();
    const started = upstream.fetch({ method, authority, scheme, path: target, headers }, keeping(answer));
    (answer.outgoing as PlainRequest).exchange = started;
    return;
  }
  const request = new StreamedRequest(exchange, upstream, answer, options.hooks);
  answer.outgoing = request;
  request.start();
}

/** An answer keeps what it writes to a slow client, and a chunk of `fetch` is good only until the call returns. */
function keeping(answer: Answer): ResponseHandler {
  return {
    onInformation: (status, statusText, headers) => answer.onInformation(status, statusText, headers),
    onHeaders: (status, statusText, headers) => answer.onHeaders(status, statusText, headers),
    onData: chunk => answer.onData(Buffer.from(chunk)),
    onComplete: trailers => answer.onComplete(trailers),
    onError: error => answer.onError(error),
  };
}

/** Without a body there is nothing to send after the head. */
class PlainRequest implements Outgoing {
  readonly bytesReceived = 0;
  readonly requestComplete = true;
  exchange: UpstreamExchange | undefined;

  resume(): void {
    this.exchange?.resume();
  }

  abort(): void {
    this.exchange?.abort();
  }
}

/** What undici sends as it is: no body, and a method for which it adds no Content-Length. */
function isPlain({ method, framing, expectsContinue, target }: Exchange): boolean {
  return framing === 'none' && !expectsContinue && PLAIN.has(method) && target !== '*';
}

const PLAIN = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']);
