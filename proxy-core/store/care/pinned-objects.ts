/**
 * Which objects are pinned by a prefix, as a set of the first 31 bits of their hashes: small integers, so that a million of them
 * take some 30 MB. Of the other objects, one in two thousand then looks like one of them and is spared, too.
 */
export class PinnedObjects {
  readonly #objects = new Set<number>();

  add(hash: string): void {
    this.#objects.add(bits(hash));
  }

  has(hash: string): boolean {
    return this.#objects.size > 0 && this.#objects.has(bits(hash));
  }
}

function bits(hash: string): number {
  return Number.parseInt(hash.slice(-8), 16) >>> 1;
}
