/** `1 object`, `1,234 objects`. */
export function objectsOf(count: number): string {
  return counted(count, 'object');
}

/** `1 file`, `1,234 files`. */
export function filesOf(count: number): string {
  return counted(count, 'file');
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;
}
