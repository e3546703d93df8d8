/** Decides how tests reach a local tenant: a fetch that trusts its authority, and msal-node's network over it. */

import type { INetworkModule } from '@azure/msal-node'
import { Agent, fetch, type RequestInit, type Response } from 'undici'
import type { LocalTenantProfile } from '../../src/local-tenant/profile.ts'

/** What a test holds to talk to a tenant. */
export interface Wire {
  fetch(url: string, init?: RequestInit): Promise<Response>
  /** POST of a form; redirects are not followed. */
  post(url: string, form: Record<string, string>, headers?: Record<string, string>): Promise<Response>
  /** For `system.networkClient`. */
  readonly network: INetworkModule
  close(): Promise<void>
}

/** A wire to the tenant of this profile. Nothing else in the process comes to trust its authority. */
export function wireTo(profile: LocalTenantProfile): Wire {
  const dispatcher = new Agent({ connect: { ca: profile.ca } })
  const reach = (url: string, init: RequestInit = {}) =>
    fetch(url, { redirect: 'manual', ...init, dispatcher })

  async function exchange<T>(
    method: string,
    url: string,
    options: Parameters<INetworkModule['sendPostRequestAsync']>[1],
  ) {
    const { headers = {}, body } = options ?? {}
    const response = await reach(url, { method, headers, ...(body !== undefined && { body }) })
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: (await response.json()) as T,
    }
  }

  return {
    fetch: reach,
    post: (url, form, headers = {}) =>
      reach(url, {
        method: 'POST',
        body: new URLSearchParams(form).toString(),
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      }),
    network: {
      sendGetRequestAsync: (url, options) => exchange('GET', url, options),
      sendPostRequestAsync: (url, options) => exchange('POST', url, options),
    },
    close: () => dispatcher.destroy(),
  }
}
