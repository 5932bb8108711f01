export { type DeepPartial, defaultSettings, folderDefaults, type Person, thisPerson } from './defaults.ts';
export { type Settings, SettingsSchema } from './schema.ts';
export type { FreeSpace, UpstreamOverride } from './structures.ts';
export { formatDuration, formatSize, parseDuration, parseSize } from './units.ts';
