import { namesIn } from '../disk/leaves.ts';
import type { Volume } from '../disk/volume.ts';
import { addTo, type NamedExtent, type VersionFiles } from './object-files.ts';
import type { Pace } from './pace.ts';

/** One folder of a larger object's tree: that of a version, which holds its parts, or of a GiB of it. */
export interface TreeFolder extends VersionFiles {
  readonly path: string;
  readonly version: string;
  /** Names that are none of the store's. */
  readonly strange: readonly string[];
}

/**
 * The folders below `<hash>.d`, the GiBs of each version in order: one at a time is in memory, however large the object is. Those
 * that are empty are told, too; a folder comes before those in it.
 */
export async function* treeFolders(volume: Volume, pace: Pace, tree: string): AsyncGenerator<TreeFolder> {
  for (const version of (await pace.step(() => namesIn(volume, tree))).sort()) {
    const path = `${tree}/${version}`;
    if (!/^[0-9a-f]{32}$/.test(version)) {
      yield { path: tree, version: '', extents: [], parts: [], strange: [version] };
      continue;
    }
    const names = await pace.step(() => namesIn(volume, path));
    const gibs = names.filter(name => /^\d{1,6}$/.test(name)).sort((a, b) => Number(a) - Number(b));
    yield folder(
      path,
      version,
      names.filter(name => !gibs.includes(name)),
    );
    for (const gib of gibs) {
      const below = `${path}/${gib}`;
      yield folder(below, version, await pace.step(() => namesIn(volume, below)));
    }
  }
}

function folder(path: string, version: string, names: readonly string[]): TreeFolder {
  const files: { extents: NamedExtent[]; parts: string[] } = { extents: [], parts: [] };
  const strange = names.filter(name => !addTo(files, `${path}/${name}`, name));
  return { path, version, ...files, strange };
}
