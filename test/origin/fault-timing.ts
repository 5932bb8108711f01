/** Waits for a promise, or so many milliseconds. */
export async function pause(what: Promise<unknown> | number | undefined): Promise<void> {
  if (typeof what === 'number') await new Promise(resolve => setTimeout(resolve, what));
  else await what;
}
