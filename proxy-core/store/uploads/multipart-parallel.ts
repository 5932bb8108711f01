/** So many operations on the disk at once: half of what a volume takes, so that readers don't wait behind an upload of 10,000 parts. */
const AT_ONCE = 8;

/** Runs `act` on each item, a few at a time; resolves with the results in the items' order. After one that rejects no more are begun. */
export async function inParallel<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  let failed = false;
  const work = async () => {
    for (let i = next++; i < items.length && !failed; i = next++) {
      try {
        results[i] = await act(items[i] as T);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const settled = await Promise.allSettled(Array.from({ length: Math.min(AT_ONCE, items.length) }, work));
  for (const one of settled) if (one.status === 'rejected') throw one.reason;
  return results;
}
