/** How often a value is looked at. */
const EVERY_MS = 100;

/** Looks at a value again and again until something is done, however it ends; the highest that was seen. */
export async function highestDuring(look: () => Promise<number>, done: Promise<unknown>): Promise<number> {
  let [highest, over] = [Number.NEGATIVE_INFINITY, false];
  const end = () => {
    over = true;
  };
  const ended = done.then(end, end);
  do {
    highest = Math.max(highest, await look());
    await Promise.race([ended, new Promise(resolve => setTimeout(resolve, EVERY_MS))]);
  } while (!over);
  return highest;
}
