import { type Account, accountOf, machineCpuSeconds } from './machine.ts';

/** What the processes of a measurement used for it. */
export interface Used {
  /** CPU seconds of the proxy. */
  readonly proxyCpu: number;
  /** By the proxy, from files and sockets. */
  readonly proxyBytesRead: number;
  /** Most memory of the proxy so far. */
  readonly proxyPeakMiB: number;
  /** CPU seconds of the load generators. */
  readonly loadCpu: number;
  /** CPU seconds of everything else on this machine. */
  readonly otherCpu: number;
}

export interface Pids {
  readonly proxy: number;
  readonly loads: readonly number[];
  readonly origin: number;
}

/** Tells what was used since, or nothing where the kernel doesn't say. */
export function startAccounts(pids: Pids): () => Used | undefined {
  const before = take(pids);
  return () => {
    const after = take(pids);
    return before && after && difference(before, after);
  };
}

interface Accounts {
  readonly machine: number;
  readonly proxy: Account;
  readonly loadCpu: number;
  readonly originCpu: number;
  readonly ownCpu: number;
}

function take({ proxy, loads, origin }: Pids): Accounts | undefined {
  const machine = machineCpuSeconds();
  const account = accountOf(proxy);
  const originCpu = accountOf(origin)?.cpuSeconds;
  if (machine === undefined || !account || originCpu === undefined) return undefined;
  const loadCpu = loads.reduce((sum, pid) => sum + (accountOf(pid)?.cpuSeconds ?? Number.NaN), 0);
  const { user, system } = process.cpuUsage();
  return { machine, proxy: account, loadCpu, originCpu, ownCpu: (user + system) / 1e6 };
}

function difference(before: Accounts, after: Accounts): Used {
  const proxyCpu = after.proxy.cpuSeconds - before.proxy.cpuSeconds;
  const loadCpu = after.loadCpu - before.loadCpu;
  const known = proxyCpu + loadCpu + after.originCpu - before.originCpu + after.ownCpu - before.ownCpu;
  return {
    proxyCpu,
    proxyBytesRead: after.proxy.bytesRead - before.proxy.bytesRead,
    proxyPeakMiB: after.proxy.peakMiB,
    loadCpu,
    otherCpu: Math.max(0, after.machine - before.machine - known),
  };
}
