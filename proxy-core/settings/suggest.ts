/** The candidate a person most likely meant, or undefined when none is near. */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase();
  let best: string | undefined;
  let least = Math.max(1, Math.floor(lastName(wanted).length / 3)) + 0.5;
  for (const candidate of candidates) {
    const there = candidate.toLowerCase();
    // A right name in the wrong group is as near as a slip of one letter.
    const moved = lastName(there) === lastName(wanted) ? 1 : Number.POSITIVE_INFINITY;
    const distance = Math.min(moved, edits(wanted, there));
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

const lastName = (path: string) => path.slice(path.lastIndexOf('.') + 1);

/** Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours. */
function edits(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2]! + 1 : Infinity;
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1), swap);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
