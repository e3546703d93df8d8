/** Decides what every route asks for, and refuses to boot when one of them does not say. */
import type { FastifyInstance, RouteOptions } from 'fastify'
import createRouter, { type HTTPMethod } from 'find-my-way'
import { Misconfigured, type Problem } from '../errors.ts'
import { findPolicyProblems, type Surroundings } from '../token/declared.ts'
import type { RouteAccess } from '../token/policy.ts'

/** What is known of the routes of one application. */
export interface RouteTable {
  /** Notes a route as it is registered. */
  readonly add: (route: RouteOptions) => void
  /** Throws {@link Misconfigured} naming each route without a valid `config.access`. */
  readonly check: () => void
  /** Every route, in the order of their registration. */
  readonly registered: () => readonly RouteOptions[]
  /** What the routes ask for, in the same order. */
  readonly accesses: () => readonly RouteAccess[]
  /** Every route: one line a method, as `GET /orders`, and what it asks for. */
  readonly list: () => readonly { readonly route: string; readonly access: RouteAccess }[]
  /** The methods that a path supports; none when it is unknown. `isPublic` when none of them is guarded. */
  readonly methodsAt: (path: string) => { readonly methods: readonly string[]; readonly isPublic: boolean }
}

/**
 * Collects routes; finding one by path is left to Fastify's own router, so that both agree.
 *
 * @param surroundings what a route's access is judged by beside itself
 */
export function createRouteTable(surroundings: Surroundings): RouteTable {
  const routes: RouteOptions[] = []
  const router = createRouter({ ignoreTrailingSlash: false })
  const methods = new Set<HTTPMethod>()
  return {
    add: route => {
      routes.push(route)
      for (const method of [route.method].flat() as HTTPMethod[]) {
        if (router.findRoute(method, route.url) !== null) continue
        methods.add(method)
        router.on(method, route.url, () => {}, route)
      }
    },
    check: () => {
      const problems = routes.flatMap(route => {
        const name = `${[route.method].flat().join(', ')} ${route.url}`
        return findPolicyProblems(name, route.config?.access, surroundings)
      })
      if (problems.length > 0) throw new Misconfigured(problems)
    },
    registered: () => routes,
    accesses: () => routes.map(route => route.config?.access as RouteAccess),
    list: () =>
      routes.flatMap(route =>
        [route.method].flat().map(method => ({
          route: `${method} ${route.url}`,
          access: route.config?.access as RouteAccess,
        })),
      ),
    methodsAt: path => {
      const found = [...methods].flatMap(method => {
        const route = router.find(method, path)?.store as RouteOptions | null | undefined
        return route == null ? [] : [{ method, access: route.config?.access as RouteAccess }]
      })
      return {
        methods: found.map(({ method }) => method).sort(),
        isPublic: found.length > 0 && found.every(({ access }) => access === 'public'),
      }
    },
  }
}

/**
 * Fastify tells a plugin of the routes that come after it, and of no other. On the root application every earlier
 * route would be guarded by nobody's word, so there must be none.
 */
export function routesBefore(app: FastifyInstance): Problem | undefined {
  const isRoot = !('register' in (Object.getPrototypeOf(app) as object))
  const routes = app.printRoutes({ commonPrefix: false }).match(/(?<=── ).+$/gm)
  if (!isRoot || routes === null) return undefined
  return {
    name: 'routes registered before protected-resource',
    found: routes.join(', '),
    expected: 'the plugin before the first route',
    example: 'await app.register(protectedResource, { … })',
  }
}
