import type { DesktopStatus } from '../main/desktop/ipc.ts';
import type { StatusSnapshot } from '../proxy-core/admin/index.ts';
import { bytes, count, duration, percent, rate } from './format.ts';

const ADDRESS_NAMES = { proxy: 'Proxy', dashboard: 'Dashboard', health: 'Health', metrics: 'Metrics' } as const;

/** Puts a status on the page. */
export function show({ core, snapshot, shell_lines }: DesktopStatus): void {
  document.body.dataset.phase = core.phase;
  text('state', stateInWords(core, snapshot));
  if (snapshot !== null) showSnapshot(snapshot);
  showShellLines(shell_lines);
  byId('empty').hidden = snapshot === null || snapshot.counters.requests > 0;
  const problems = [...(core.phase === 'down' ? [core.reason] : []), ...(snapshot?.problems ?? [])];
  list(
    byId('problems'),
    problems.length > 0 ? problems.map(problem => element('li', problem)) : [element('li', 'No problems.', 'none')],
  );
}

function stateInWords(core: DesktopStatus['core'], snapshot: StatusSnapshot | null): string {
  switch (core.phase) {
    case 'starting':
      return 'Starting';
    case 'stopping':
      return 'Stopping, waiting for running transfers';
    case 'down':
      return 'Not serving, trying again';
    case 'serving':
      return snapshot === null ? 'Starting' : `Serving on ${snapshot.addresses.proxy}`;
  }
}

/** A browser is told where to get the lines: only the app knows the person's shell and Region. */
function showShellLines(lines: readonly string[]): void {
  text('how', lines.length > 0 ? 'Paste these lines into a shell:' : 'This prints the lines to paste into a shell:');
  text('shell-lines', lines.length > 0 ? lines.join('\n') : 'cistern env');
  byId('copy').hidden = lines.length === 0;
}

function showSnapshot(snapshot: StatusSnapshot): void {
  const { addresses, cache, counters, share_from_cache: share, throughput } = snapshot;
  text('about', `Version ${snapshot.version}, up ${duration(snapshot.uptime_s)}`);

  const total = counters.bytes_from_cache + counters.bytes_from_s3;
  text('share', share === null ? '–' : percent(share));
  text(
    'share-note',
    share === null ? 'Nothing read yet' : `${bytes(counters.bytes_from_cache)} of ${bytes(total)} read`,
  );
  const bar = document.querySelector<HTMLElement>('[data-bar="share"]')!;
  bar.style.width = `${(share ?? 0) * 100}%`;
  bar.parentElement!.classList.toggle('filled', share !== null);

  text('hits', count(counters.hits));
  text('hits-note', `and ${count(counters.revalidated)} revalidated`);
  text('misses', count(counters.misses));
  text('misses-note', `and ${count(counters.partial)} in part`);
  text('bytes-from-cache', bytes(counters.bytes_from_cache));
  text('bytes-from-s3', bytes(counters.bytes_from_s3));
  text('now-from-cache', rate(throughput.from_cache));
  text('now-from-s3', rate(throughput.from_s3));

  text('ram', cache.ram_limit === 0 ? 'off' : ofLimit(cache.ram_bytes, cache.ram_limit));
  text('disk', cache.disk_bytes === undefined ? 'being counted' : ofLimit(cache.disk_bytes, cache.disk_limit));
  text('dir', cache.dir);
  list(
    byId('addresses'),
    Object.entries(ADDRESS_NAMES).flatMap(([key, name]) => {
      const address = addresses[key as keyof typeof addresses];
      return [element('dt', name), element('dd', address ?? 'off')];
    }),
  );
}

/** Without a limit of its own (`max_cache_size: 0`) only the volume's free space limits the cache. */
function ofLimit(used: number, limit: number): string {
  return limit < Number.MAX_SAFE_INTEGER ? `${bytes(used)} of ${bytes(limit)}` : bytes(used);
}

/** Only what changed is touched: a selection that the person made stays, and screen readers hear news only. */
export function text(field: string, value: string): void {
  const target = document.querySelector(`[data-field="${field}"]`)!;
  if (target.textContent !== value) target.textContent = value;
}

function list(parent: HTMLElement, items: HTMLElement[]): void {
  const same =
    parent.childElementCount === items.length &&
    items.every((item, index) => item.isEqualNode(parent.children[index]!));
  if (!same) parent.replaceChildren(...items);
}

export function byId(id: string): HTMLElement {
  return document.getElementById(id)!;
}

function element(tag: string, content: string, className?: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = content;
  if (className !== undefined) made.className = className;
  return made;
}
