import { type HeaderFacts, readHeaderFacts } from '../../proxy-core/request/index.ts';

/** Facts of headers written as an object; a list of values means repeated lines. */
export function factsOf(headers: Record<string, string | string[]> = {}): HeaderFacts {
  return readHeaderFacts(
    Object.entries(headers).flatMap(([name, values]) => [values].flat().flatMap(value => [name, value])),
  );
}
