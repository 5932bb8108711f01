import { headerValue } from '../request/index.ts';
import type { Head } from '../store/index.ts';
import type { ReadSettings } from './types.ts';

/**
 * Whether compressing an object is worth a try. Types that are compressed already are left alone; of the rest, the
 * store looks at the first 64 KiB and decides (design section 6). Parquet and ORC usually are compressed inside, but not
 * always, so they are tried.
 */
export function mayCompress(
  settings: Pick<ReadSettings, 'compression_enabled' | 'compression_threshold'>,
  head: Pick<Head, 'length' | 'headers'>,
  key: string,
): boolean {
  if (!settings.compression_enabled || head.length < Math.max(settings.compression_threshold, BLOCK)) return false;
  const encoding = headerValue(head.headers, 'content-encoding');
  if (encoding !== undefined && encoding !== 'identity' && encoding !== 'aws-chunked') return false;
  const type = headerValue(head.headers, 'content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (COMPRESSED_TYPES.test(type)) return false;
  return !COMPRESSED_NAMES.has(key.slice(key.lastIndexOf('.') + 1).toLowerCase());
}

/** What is no longer than a block of the volume takes one either way. */
const BLOCK = 4096;

const COMPRESSED_TYPES =
  /^(image\/(?!svg|bmp|tiff|x-)|audio\/(?!wav|x-wav|aiff)|video\/|font\/woff|application\/(zip|gzip|x-gzip|x-bzip2?|x-xz|zstd|x-7z-compressed|vnd\.rar|java-archive|pdf|vnd\.openxmlformats-|vnd\.oasis\.opendocument\.))/;

const COMPRESSED_NAMES = new Set(
  (
    'jpg jpeg png gif webp avif heic heif mp4 mkv mov wmv webm m4v mp3 aac ogg flac m4a wma opus ' +
    'zip rar 7z gz bgz bz2 xz lz4 zst tgz br bam cram docx xlsx pptx odt ods odp apk ipa jar war woff woff2 dmg'
  ).split(' '),
);
