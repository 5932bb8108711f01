import { randomBytes } from 'node:crypto';

const EPOCH = /^[0-9a-f]{32}$/;

/** A new epoch: 128 random bits in hex, so that no two are ever the same. */
export function newEpoch(): string {
  return randomBytes(16).toString('hex');
}

export function isEpoch(text: string): boolean {
  return EPOCH.test(text);
}

/** One of both, which is another one as soon as either is: their exclusive or. `''` is none, and changes nothing. */
export function combineEpochs(a: string, b: string): string {
  if (a === '' || b === '') return a || b;
  return (BigInt(`0x${a}`) ^ BigInt(`0x${b}`)).toString(16).padStart(32, '0');
}
