import { FIGURES, type FigureName, type Row } from './figures.ts';

/** What was measured, with units: of Cistern alone, then beside reading from the origin. */
export function figuresTables(rows: readonly Row[]): string {
  return tables(rows, (row, name) => {
    const value = row.figures[name];
    return value === undefined ? undefined : FIGURES[name].text(value);
  });
}

/** The change since earlier rows, in percent of those; lines and figures that both have. */
export function changesTables(rows: readonly Row[], earlier: readonly Row[]): string {
  const before = new Map(earlier.map(row => [row.id, row.figures]));
  const both = rows.filter(row => before.has(row.id));
  return tables(both, (row, name) => {
    const [was, is] = [before.get(row.id)?.[name], row.figures[name]];
    return was === undefined || is === undefined || NOT_COMPARED.has(name) ? undefined : change(was, is);
  });
}

/** The first of its figures that a row has is shown. */
const COLUMNS: readonly { readonly title: string; readonly figures: readonly FigureName[] }[] = [
  { title: 'result', figures: ['requests_per_second', 'gigabytes_per_second', 'ready_ms', 'hit_percent'] },
  { title: 'of bytes', figures: ['byte_hit_percent'] },
  { title: 'written', figures: ['written_gigabytes'] },
  { title: 'disk ops', figures: ['operations_per_gigabyte'] },
  { title: 'per file', figures: ['operations_per_file'] },
  { title: 'direct', figures: ['direct_requests_per_second', 'direct_gigabytes_per_second'] },
  { title: '× direct', figures: ['times_direct'] },
  { title: '× one conn.', figures: ['times_one_connection'] },
  { title: '× alone', figures: ['times_alone'] },
  { title: 'first byte p50', figures: ['first_byte_p50_ms'] },
  { title: 'p95', figures: ['first_byte_p95_ms'] },
  { title: 'direct p50', figures: ['direct_first_byte_p50_ms'] },
  { title: 'p95', figures: ['direct_first_byte_p95_ms'] },
  { title: 'added', figures: ['first_byte_added_ms'] },
  { title: 'whole p50', figures: ['p50_ms'] },
  { title: 'p99', figures: ['p99_ms'] },
  { title: 'S3 requests', figures: ['origin_requests'] },
  { title: 'bodies', figures: ['origin_bodies'] },
  { title: 'CPU', figures: ['cpu_us_per_request', 'cpu_s_per_gigabyte', 'cpu_ms'] },
  { title: 'from files', figures: ['from_files_percent'] },
  { title: 'peak memory', figures: ['peak_memory_mib'] },
  { title: '× small', figures: ['times_small_memory'] },
  { title: 'budget', figures: ['most_budget_mib'] },
  { title: 'load', figures: ['load_cpu_percent'] },
  { title: 'others', figures: ['other_cpu_percent'] },
];

/** These say how good a measurement is, not how good Cistern is. */
const NOT_COMPARED: ReadonlySet<FigureName> = new Set<FigureName>([
  'direct_requests_per_second',
  'direct_gigabytes_per_second',
  'direct_first_byte_p50_ms',
  'direct_first_byte_p95_ms',
  'first_byte_added_ms',
  'from_files_percent',
  'load_cpu_percent',
  'other_cpu_percent',
]);

function change(was: number, is: number): string {
  if (was === 0) return is === 0 ? '0 %' : 'was 0';
  const percent = ((is - was) / was) * 100;
  return `${percent > 0 ? '+' : ''}${percent.toFixed(1)} %`;
}

type Cell = (row: Row, name: FigureName) => string | undefined;

/** Lines that are beside direct have columns of their own. */
function tables(rows: readonly Row[], cell: Cell): string {
  const isBeside = ({ figures }: Row) => figures.times_direct !== undefined;
  return [rows.filter(row => !isBeside(row)), rows.filter(isBeside)]
    .filter(({ length }) => length > 0)
    .map(some => table(some, cell))
    .join('\n\n');
}

function table(rows: readonly Row[], cell: Cell): string {
  const columns = COLUMNS.map(({ title, figures }) => ({
    title,
    cells: rows.map(row => figures.map(name => cell(row, name)).find(text => text !== undefined) ?? ''),
  })).filter(({ cells }) => cells.some(text => text !== ''));
  const names = ['', ...rows.map(row => row.title)];
  const nameWidth = Math.max(...names.map(name => name.length));
  const lines = names.map((name, line) => {
    const cells = columns.map(({ title, cells }) => {
      const width = Math.max(title.length, ...cells.map(text => text.length));
      return (line === 0 ? title : cells[line - 1]!).padStart(width);
    });
    return [name.padEnd(nameWidth), ...cells].join('   ').trimEnd();
  });
  return lines.join('\n');
}
