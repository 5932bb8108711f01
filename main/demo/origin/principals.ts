/** Who may sign, and what each may do. Rules are looked at on each request, so a test may change them while it runs. */
export interface Principal {
  readonly name: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Temporary credentials: the token that must come with each request */
  readonly sessionToken?: string;
  /** Without `allow`, everything is allowed; `deny` outranks it. */
  allow?: readonly Rule[];
  deny?: readonly Rule[];
}

export type Action = 'read' | 'write' | 'list';

export interface Rule {
  /** Without it, every action */
  readonly actions?: readonly Action[];
  /** `bucket` with all in it, or `bucket/prefix` */
  readonly resource: string;
}

export const DEMO_PRINCIPAL: Principal = {
  name: 'demo',
  accessKeyId: 'AKIACISTERNDEMO00000',
  secretAccessKey: 'demo-secret-of-no-value',
};

export function mayDo(principal: Principal, action: Action, bucket: string, key: string | undefined): boolean {
  const covers = (rule: Rule) => {
    if (rule.actions && !rule.actions.includes(action)) return false;
    const slash = rule.resource.indexOf('/');
    if (slash < 0) return rule.resource === bucket;
    return rule.resource.slice(0, slash) === bucket && (key ?? '').startsWith(rule.resource.slice(slash + 1));
  };
  if (principal.deny?.some(covers)) return false;
  return principal.allow?.some(covers) ?? true;
}
