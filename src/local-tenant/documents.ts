/** Decides what the tenant publishes of itself: the v1.0 and v2.0 discovery documents, in Entra's shape. */

import { type Directory, isShared, issuerOf } from './directory.ts'

/** A discovery document. */
export type DiscoveryDocument = Readonly<Record<string, unknown>>

/**
 * The discovery document of a tenant. Documents of every tenant at once (`common`, `organizations`) have the
 * placeholder `{tenantid}` in their issuer. Pages that a person opens are on the page port, which needs no
 * certificate; everything else is on the TLS port.
 */
export function discoveryDocument(directory: Directory, tenant: string, version: 1 | 2): DiscoveryDocument {
  const { authority, pages } = directory
  const endpoint = `${authority}/${tenant}/oauth2/v2.0`
  const page = `${pages}/${tenant}/oauth2/v2.0`
  return {
    token_endpoint: `${endpoint}/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    jwks_uri: `${authority}/${tenant}/discovery/${version === 2 ? 'v2.0/' : ''}keys`,
    response_modes_supported: ['query', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: issuerOf(directory, isShared(tenant) ? '{tenantid}' : tenant, version),
    request_uri_parameter_supported: false,
    userinfo_endpoint: 'https://graph.microsoft.com/oidc/userinfo',
    authorization_endpoint: `${page}/authorize`,
    device_authorization_endpoint: `${endpoint}/devicecode`,
    http_logout_supported: true,
    frontchannel_logout_supported: true,
    end_session_endpoint: `${page}/logout`,
    code_challenge_methods_supported: ['S256'],
    claims_supported: [
      ...['sub', 'iss', 'cloud_instance_name', 'cloud_instance_host_name', 'cloud_graph_host_name'],
      ...['msgraph_host', 'aud', 'exp', 'iat', 'auth_time', 'acr', 'nonce', 'preferred_username', 'name'],
      ...['tid', 'ver', 'at_hash', 'c_hash', 'email'],
    ],
    tenant_region_scope: null,
    cloud_instance_name: new URL(authority).host,
    cloud_graph_host_name: 'graph.windows.net',
    msgraph_host: 'graph.microsoft.com',
    rbac_url: 'https://pas.windows.net',
  }
}
