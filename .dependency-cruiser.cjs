// The house's one-way dependencies (docs/architecture.md). `npm run lint` holds every import against them.
const leaf = 'settings|observe';
const room = name => `^proxy-core/${name}/`;
const only = (from, allowed) => ({
  name: `${from}-imports`,
  comment: `proxy-core/${from} may import: ${allowed || 'nothing'} (and the leaves settings, observe)`,
  severity: 'error',
  from: { path: room(from) },
  to: {
    path: '^proxy-core/',
    pathNot: `^proxy-core/(${[from, leaf, allowed].filter(Boolean).join('|')})/|^proxy-core/(errors|clock)\\.ts$`,
  },
});
module.exports = {
  forbidden: [
    {
      name: 'core-is-plain-node',
      severity: 'error',
      from: { path: '^proxy-core/' },
      to: { path: '^(main|renderer)/|^node_modules/electron|^electron$' },
    },
    {
      name: 'renderer-stands-alone',
      severity: 'error',
      from: { path: '^renderer/' },
      to: { path: '^proxy-core/|^node_modules/electron/|^electron$' },
    },
    only('settings', ''),
    only('observe', ''),
    only('request', ''),
    only('upstream', 'request'),
    only('store', 'request'),
    only('freshness', 'request|store'),
    only('read', 'request|freshness|store|upstream'),
    only('write', 'request|freshness|store|upstream'),
    only('listeners', 'request|read|write|upstream'),
    only('admin', 'store|read|upstream|request'),
    {
      name: 'through-the-index',
      comment: "another folder's index.ts is what may be imported of it",
      severity: 'error',
      from: { path: '^proxy-core/([^/]+)/' },
      to: { path: '^proxy-core/[^/]+/.+', pathNot: '^proxy-core/$1/|^proxy-core/[^/]+/index\\.ts$' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.json'] },
  },
};
