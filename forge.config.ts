import { FuseV1Options, FuseVersion } from '@electron/fuses';
import { MakerZIP } from '@electron-forge/maker-zip';
import { FusesPlugin } from '@electron-forge/plugin-fuses';
import type { ForgeConfig } from '@electron-forge/shared-types';

/** What of the checkout goes into the app, beside the packages in `dependencies` (dev packages are pruned). */
const PACKED = ['/package.json', '/dist', '/resources', '/node_modules'];

// A folder with `electron-v<version of the electron package>-<platform>-<arch>.zip`, for machines that can't download it.
const electronZipDir = process.env.CISTERN_ELECTRON_ZIP_DIR;

const outDir = process.env.CISTERN_OUT_DIR;

const config: ForgeConfig = {
  ...(outDir ? { outDir } : {}),
  packagerConfig: {
    name: 'Cistern',
    executableName: 'cistern-desktop',
    icon: 'resources/icons/512',
    // What the system loads by itself must be a real file.
    asar: { unpack: '**/*.{node,wasm}' },
    ignore: path => path !== '' && (path.endsWith('.map') || !PACKED.some(part => isIn(path, part))),
    ...(electronZipDir ? { electronZipDir } : {}),
  },
  // The native modules are Node-API prebuilds: they run on any Electron as they are.
  rebuildConfig: { onlyModules: [] },
  makers: [new MakerZIP({}, ['linux'])],
  plugins: [
    new FusesPlugin({
      version: FuseVersion.V1,
      // The shipped program is Cistern and nothing else: no Node by environment or flag, no code from outside its archive.
      [FuseV1Options.RunAsNode]: false,
      [FuseV1Options.EnableNodeOptionsEnvironmentVariable]: false,
      [FuseV1Options.EnableNodeCliInspectArguments]: false,
      [FuseV1Options.EnableEmbeddedAsarIntegrityValidation]: true,
      [FuseV1Options.OnlyLoadAppFromAsar]: true,
      [FuseV1Options.EnableCookieEncryption]: true,
      [FuseV1Options.GrantFileProtocolExtraPrivileges]: false,
    }),
  ],
};

function isIn(path: string, part: string): boolean {
  return path === part || path.startsWith(`${part}/`);
}

export default config;
