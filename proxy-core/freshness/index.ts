export { Allowances } from './allowances.ts';
export { type Caller, callerOf } from './caller.ts';
export { isFresh } from './fresh.ts';
export { type Candidate, judge, type Question, questionFor, type Verdict } from './question.ts';
