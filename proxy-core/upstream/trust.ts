import * as tls from 'node:tls';

/**
 * Whom upstream certificates may be signed by: Node's list (with NODE_EXTRA_CA_CERTS) and the operating system's, where
 * this Node can read that (22.15 and later), so that an authority a company put there is known. Made once: building the
 * store takes longer than a handshake.
 */
export function createTrust(authorities?: readonly string[]): tls.SecureContext {
  return tls.createSecureContext({ ...(authorities ? { ca: [...authorities] } : systemAuthorities()) });
}

type GetCertificates = (type: 'default' | 'system') => string[];

function systemAuthorities(): { ca?: string[] } {
  const get = (tls as { getCACertificates?: GetCertificates }).getCACertificates;
  return get ? { ca: [...new Set([...get('default'), ...get('system')])] } : {};
}
