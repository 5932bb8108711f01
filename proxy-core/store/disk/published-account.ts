import type { Account, Other } from './ledger.ts';
import type { Neighbour } from './left-behind.ts';

const NUMBERS = ['bytes', 'staged', 'unread', 'added', 'reserved', 'copying', 'ceiling', 'limit'] as const;

/** Another process with its account; none where it tells none. */
export function otherOf({ id, beat, facts, state, quiet }: Neighbour): Other[] {
  const account = accountIn(facts);
  if (!account) return [];
  // What was under way when it stopped may have come to its place still.
  const isOver = state === 'ended' && account.reserved === 0;
  return [{ id, beat, account, state: state === 'ended' && !isOver ? 'dead' : state, quiet }];
}

/** The account in what a process tells of itself; undefined where it is another version's. */
export function accountIn(facts: Readonly<Record<string, unknown>>): Account | undefined {
  const account = facts.account as Account | undefined;
  return account && NUMBERS.every(name => Number.isFinite(account[name])) && Array.isArray(account.sees)
    ? account
    : undefined;
}
