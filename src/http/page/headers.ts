/** Decides with which headers the page of the API description is served: nothing inline, nothing from elsewhere but the sign-in. */
import type { FastifyHelmetOptions } from '@fastify/helmet'

/**
 * The page's headers, for @fastify/helmet.
 * @param signInOrigin where the page redeems the code of a sign-in; none when it offers none
 */
export function pageHeaders(signInOrigin: string | undefined): FastifyHelmetOptions {
  return {
    contentSecurityPolicy: {
      // The defaults ask for https everywhere, which a server on loopback doesn't have.
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'base-uri': ["'none'"],
        'connect-src': ["'self'", ...(signInOrigin === undefined ? [] : [signInOrigin])],
        'form-action': ["'none'"],
        'frame-ancestors': ["'none'"],
        'img-src': ["'self'", 'data:'],
        'script-src': ["'self'"],
        'style-src': ["'self'"],
      },
    },
    // The window in which a person signs in must find its way back to the page.
    crossOriginOpenerPolicy: { policy: 'same-origin-allow-popups' },
    frameguard: { action: 'deny' },
    // The application itself says it, and only behind TLS.
    strictTransportSecurity: false,
  }
}

/**
 * For the page to which that window comes back: with a policy of its own it would be cut off from the one that
 * opened it.
 */
export const RETURN_HEADERS: FastifyHelmetOptions = {
  crossOriginOpenerPolicy: { policy: 'unsafe-none' },
}
