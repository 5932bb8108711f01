import type { CoreStatus } from './ipc.ts';

/** The tray's one line: `Cistern: serving on 127.0.0.1:3128, 93 % from cache`. */
export function statusInWords({ core, snapshot }: CoreStatus): string {
  switch (core.phase) {
    case 'starting':
      return 'Cistern: starting';
    case 'stopping':
      return 'Cistern: stopping, waiting for running transfers';
    case 'down':
      return `Cistern: not serving, starting again. ${core.reason}`;
    case 'serving': {
      if (snapshot === null) return 'Cistern: starting';
      const facts = [`serving on ${snapshot.addresses.proxy}`, shareInWords(snapshot.share_from_cache)];
      const problems = snapshot.problems.length;
      if (problems > 0) facts.push(problems === 1 ? '1 problem' : `${problems} problems`);
      return `Cistern: ${facts.join(', ')}`;
    }
  }
}

/** Never "0 %" when something came from the cache, nor "100 %" when something did not. */
function shareInWords(share: number | null): string {
  if (share === null) return 'nothing read yet';
  if (share > 0 && share < 0.01) return 'less than 1 % from cache';
  const percent = share < 1 ? Math.min(99, Math.round(share * 100)) : 100;
  return `${percent} % from cache`;
}
