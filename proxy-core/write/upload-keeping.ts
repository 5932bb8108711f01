import type { RawHeaders, TargetFacts, Upload } from '../request/index.ts';
import type { ObjectSettings } from '../settings/index.ts';
import type { MultipartStage, UploadStore } from '../store/index.ts';
import { KeepPart, KeepPut } from './keep-content.ts';
import { DiscardParts, KeepComplete, KeepCreate } from './keep-multipart.ts';
import type { Keeping } from './types.ts';
import { headersOfWrite, uploadContent } from './upload-content.ts';

export interface UploadRequest {
  readonly headers: RawHeaders;
  /** How it says where its body ends; of that the headers say nothing, where it is chunked. */
  readonly framing: 'none' | 'length' | 'chunked';
  readonly target: TargetFacts;
}

/** What of the store uploads need. None of its promises rejects or takes longer than the disk's deadline. */
export interface KeepingStore extends Pick<UploadStore, 'copyUpload' | 'publishUpload'> {
  readonly multipart: Pick<MultipartStage, 'created' | 'keepPart' | 'complete' | 'abort'>;
}

export interface UploadKeepingOptions {
  readonly store: KeepingStore;
  readonly settings: Pick<
    ObjectSettings,
    'unknown' | 'read_cache_enabled' | 'write_cache_enabled' | 'write_cache_max_object_size' | 'ram_cache_eligible'
  >;
  /** Whether compressing an object of such headers and so many bytes is worth a try. */
  mayCompress(headers: RawHeaders, length: number): boolean;
  /** An object was kept. */
  onKept(): void;
  /** An object was not kept; the reason is a token. */
  onPassedBy(reason: string): void;
}

/** What is kept of an upload, or of a step of one; undefined where nothing is. */
export function uploadKeeping(
  upload: Upload,
  request: UploadRequest,
  options: UploadKeepingOptions,
): Keeping | undefined {
  const { settings, store } = options;
  const headers = headersOfWrite(request.headers, request.target);
  const refused = refusalOf(settings);
  switch (upload.step) {
    case 'discard':
      return new DiscardParts(upload, store);
    case 'create':
      if (refused !== undefined || 'reason' in uploadContent(headers, request.framing)) return undefined;
      return new KeepCreate(upload, headers, options);
    case 'complete':
      if (refused === undefined) return new KeepComplete(upload, headers, options);
      options.onPassedBy(refused);
      return undefined;
    case 'put':
    case 'part': {
      const content = uploadContent(headers, request.framing);
      const reason =
        refused ?? ('reason' in content ? content.reason : tooLarge(content.length ?? 0, upload, settings));
      if (reason === undefined && !('reason' in content)) {
        if (upload.step === 'put') return new KeepPut(upload, headers, content, options);
        return new KeepPart(upload, content, options);
      }
      // Without a part there is no use for the others.
      if (upload.step === 'part') return refused === undefined ? new DiscardParts(upload, store) : undefined;
      if (reason !== undefined) options.onPassedBy(reason);
      return undefined;
    }
  }
}

/** Parts before this one are usually as long as it is, so their number tells how large the object becomes. */
function tooLarge(
  length: number,
  upload: Upload,
  settings: Pick<ObjectSettings, 'write_cache_max_object_size'>,
): 'too_large' | undefined {
  const number = upload.step === 'part' ? upload.number : 1;
  return length * number > settings.write_cache_max_object_size ? 'too_large' : undefined;
}

function refusalOf(settings: UploadKeepingOptions['settings']): string | undefined {
  if (settings.unknown) return 'settings_unknown';
  if (!settings.write_cache_enabled) return 'write_cache_disabled';
  return settings.read_cache_enabled ? undefined : 'read_cache_disabled';
}
