import type { RawHeaders } from '../request/index.ts';
import type { Plan } from './overrides.ts';
import type { Target } from './target.ts';

/** Prefix of the path and extra header lines, for a plain request through an HTTP proxy (RFC 9112 section 3.2.2). */
export interface AbsoluteForm {
  readonly prefix: string;
  readonly headers: RawHeaders;
}

/** Where requests for one authority go: the addresses that may be dialled for it. */
export class Route {
  readonly plan: Plan;
  readonly targets: readonly Target[];
  readonly #absolute: AbsoluteForm | undefined;
  #next: number;

  constructor(plan: Plan, targets: readonly Target[], absolute: AbsoluteForm | undefined) {
    this.plan = plan;
    this.targets = targets;
    this.#absolute = absolute;
    this.#next = Math.floor(Math.random() * targets.length);
  }

  /** Round robin over those in rotation; a retry prefers one that it has not tried. All out of rotation: all are used. */
  pick(tried: readonly Target[] = []): Target {
    const target = this.targets.length === 1 ? this.targets[0]! : this.#choose(tried);
    if (target.health.excluded) target.probe();
    return target;
  }

  path(path: string): string {
    return this.#absolute ? this.#absolute.prefix + path : path;
  }

  headers(headers: RawHeaders): RawHeaders {
    return this.#absolute && this.#absolute.headers.length > 0 ? [...headers, ...this.#absolute.headers] : headers;
  }

  #choose(tried: readonly Target[]): Target {
    const count = this.targets.length;
    const start = this.#next++ % count;
    let best: Target | undefined;
    let bestScore = Number.POSITIVE_INFINITY;
    for (let i = 0; i < count; i++) {
      const target = this.targets[(start + i) % count]!;
      if (target.health.excluded) target.probe();
      // IPv6 comes after IPv4: many machines have addresses of it, but no way out.
      const score =
        (target.health.excluded ? 4 : 0) + (tried.includes(target) ? 2 : 0) + (target.to.ip.includes(':') ? 1 : 0);
      if (score >= bestScore) continue;
      best = target;
      bestScore = score;
      if (score === 0) break;
    }
    return best ?? this.targets[start]!;
  }
}
