import type { Span } from '../../request/index.ts';
import { parseSpan } from '../disk/paths.ts';

/** An extent by its name. */
export interface NamedExtent extends Span {
  readonly path: string;
}

/** The files of one version that lie together in a folder. */
export interface VersionFiles {
  readonly extents: NamedExtent[];
  /** `part-<n>` and `parts.json`. */
  readonly parts: string[];
}

/** The files of one object in its leaf, by what their names say. */
export interface ObjectFiles {
  readonly hash: string;
  /** Path it would have. */
  readonly head: string;
  hasHead: boolean;
  epoch: string | undefined;
  /** Of objects up to 8 MiB, by version. */
  readonly versions: Map<string, VersionFiles>;
  /** Folder of the versions of a larger one. */
  tree: string | undefined;
}

export interface LeafFiles {
  readonly objects: readonly ObjectFiles[];
  /** Names that are none of the store's. */
  readonly strange: readonly string[];
}

const NAME = /^([0-9a-f]{64})\.(?:(head|epoch|d)|([0-9a-f]{32})\.(.+))$/;
const PART = /^(?:part-\d{1,5}|parts\.json)$/;

/** What the names in a leaf (`<folder of the bucket>/<aa>/<bbb>`) mean, object by object. */
export function objectsIn(leaf: string, names: readonly string[]): LeafFiles {
  const objects = new Map<string, ObjectFiles>();
  const strange: string[] = [];
  for (const name of [...names].sort()) {
    const [, hash, kind, version, rest] = NAME.exec(name) ?? [];
    if (hash === undefined) {
      strange.push(name);
      continue;
    }
    const path = `${leaf}/${name}`;
    const object = objects.get(hash) ?? newObject(leaf, hash);
    objects.set(hash, object);
    if (kind === 'head') object.hasHead = true;
    else if (kind === 'epoch') object.epoch = path;
    else if (kind === 'd') object.tree = path;
    else if (version === undefined || !addTo(filesOf(object.versions, version), path, rest ?? '')) strange.push(name);
  }
  return { objects: [...objects.values()], strange };
}

/** Sorts a file of a version into its files; false when its name says nothing. */
export function addTo(files: VersionFiles, path: string, name: string): boolean {
  const span = parseSpan(name);
  if (span) files.extents.push({ ...span, path });
  else if (PART.test(name)) files.parts.push(path);
  else return false;
  return true;
}

function newObject(leaf: string, hash: string): ObjectFiles {
  return {
    hash,
    head: `${leaf}/${hash}.head`,
    hasHead: false,
    epoch: undefined,
    versions: new Map(),
    tree: undefined,
  };
}

function filesOf(versions: Map<string, VersionFiles>, version: string): VersionFiles {
  const known = versions.get(version);
  if (known) return known;
  const files: VersionFiles = { extents: [], parts: [] };
  versions.set(version, files);
  return files;
}
