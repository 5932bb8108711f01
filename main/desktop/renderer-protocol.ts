import { protocol } from 'electron';
import { loadRendererFiles, RENDERER_HEADERS } from '../../proxy-core/admin/index.ts';

const SCHEME = 'cistern';
const HOST = 'app';

/** The page's origin: a scheme of its own, since a page from `file:` could read every file of the person. */
export const PAGE_ORIGIN = `${SCHEME}://${HOST}`;

/** Must be called before the app is ready. */
export function registerRendererScheme(): void {
  protocol.registerSchemesAsPrivileged([{ scheme: SCHEME, privileges: { standard: true, secure: true } }]);
}

/** Serves the built web UI, with the same files and headers as the dashboard's port. */
export async function serveRenderer(rendererDir: string): Promise<void> {
  const files = await loadRendererFiles(rendererDir);
  protocol.handle(SCHEME, request => {
    const { host, pathname } = new URL(request.url);
    const file = host === HOST ? files.get(pathname) : undefined;
    if (file === undefined) return new Response('There is no such page.\n', { status: 404 });
    return new Response(new Uint8Array(file.body), { headers: { ...RENDERER_HEADERS, 'Content-Type': file.type } });
  });
}
