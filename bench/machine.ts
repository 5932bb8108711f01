import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, platform } from 'node:os';

/** The cores that proxy and load are held to, or why they aren't. */
export type Pinning =
  | { readonly proxy: number; readonly load: number }
  | { readonly proxy: undefined; readonly load: undefined; readonly why: string };

export const NOT_PINNED: Pinning = { proxy: undefined, load: undefined, why: 'not wanted' };

export function findPinning(): Pinning {
  const not = (why: string): Pinning => ({ proxy: undefined, load: undefined, why });
  const [proxy, load] = allowedCores();
  if (proxy === undefined) return not(`no core can be chosen on ${platform()}`);
  if (load === undefined) return not('there is one core only');
  try {
    execFileSync('taskset', ['-c', String(proxy), 'true'], { stdio: 'ignore' });
  } catch {
    return not('taskset is not there');
  }
  return { proxy, load };
}

/** A command line, held to a core where one is given. */
export function onCore(core: number | undefined, command: readonly string[]): readonly string[] {
  return core === undefined ? command : ['taskset', '-c', String(core), ...command];
}

export function machineName(): string {
  return `${availableParallelism()} × ${cpus()[0]?.model.trim() || 'unknown processor'}, ${platform()}`;
}

/** What the kernel has counted for a process since it began. Undefined where there is no /proc. */
export interface Account {
  /** User and system time of all its threads. */
  readonly cpuSeconds: number;
  /** By read() and its like, from files and sockets. */
  readonly bytesRead: number;
  readonly peakMiB: number;
}

export function accountOf(pid: number): Account | undefined {
  const stat = proc(`${pid}/stat`);
  if (stat === undefined) return undefined;
  // After the process's name, which may hold anything, the fields from the third on (man 5 proc_pid_stat).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticks(),
    bytesRead: Number(/^rchar: (\d+)/m.exec(proc(`${pid}/io`) ?? '')?.[1] ?? Number.NaN),
    peakMiB: Number(/^VmHWM:\s+(\d+) kB/m.exec(proc(`${pid}/status`) ?? '')?.[1] ?? Number.NaN) / 1_024,
  };
}

/** CPU seconds that all processes of this machine have used, and what a hypervisor has taken away. */
export function machineCpuSeconds(): number | undefined {
  const [user, nice, system, , , irq, softIrq, steal] = (/^cpu +(.*)$/m.exec(proc('stat') ?? '')?.[1] ?? '')
    .split(' ')
    .map(Number);
  if (steal === undefined) return undefined;
  return (user! + nice! + system! + irq! + softIrq! + steal) / ticks();
}

function proc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'latin1');
  } catch {
    return undefined;
  }
}

let ticksPerSecond = 0;

function ticks(): number {
  if (ticksPerSecond === 0) ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticksPerSecond;
}

/** From a list such as `0-3,8`; none where the kernel doesn't say. */
function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(proc('self/status') ?? '')?.[1];
  return (list?.split(',') ?? []).flatMap(part => {
    const [first, last = first] = part.split('-').map(Number);
    return Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
  });
}
