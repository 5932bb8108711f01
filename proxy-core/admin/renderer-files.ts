import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface RendererFile {
  readonly type: string;
  readonly body: Buffer;
}

// The whole web UI, by name: nothing else of the folder can be asked for, so no path is ever built from a request.
const FILES: Readonly<Record<string, string>> = {
  '/index.html': 'text/html; charset=utf-8',
  '/style.css': 'text/css; charset=utf-8',
  '/main.js': 'text/javascript; charset=utf-8',
  '/icon.svg': 'image/svg+xml',
};

/** The built web UI by URL path (`/` is the page), as the window's protocol and the dashboard's port serve it. */
export async function loadRendererFiles(dir: string): Promise<ReadonlyMap<string, RendererFile>> {
  const files = new Map<string, RendererFile>();
  for (const [path, type] of Object.entries(FILES)) files.set(path, { type, body: await readFile(join(dir, path)) });
  files.set('/', files.get('/index.html')!);
  return files;
}

/** Headers of every answer that carries the web UI: only its own scripts, styles and connections; no frames, no forms. */
export const RENDERER_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};
