/** Decides where the API description is published, to everybody; it is made when somebody first asks for it, since few servers are ever asked. */
import type { FastifyInstance } from 'fastify'
import { onFirstUse } from '../../first-use.ts'
import { PATHS } from '../page/paths.ts'
import type { Docs, DocsSettings } from './docs-page.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The application that describes this one, once this one is ready: `(await openDocs()).app.swagger()`. */
    openDocs: () => Promise<Docs>
  }
}

/** `GET /docs` and what belongs to it, `GET /openapi.json`, `GET /openapi.yaml`. */
export function addDocs(app: FastifyInstance, settings: DocsSettings): void {
  const docs = onFirstUse(async () => {
    const { createDocs } = await import('./docs-page.ts')
    return createDocs(app.protectedResource, settings)
  })
  app.decorate('openDocs', docs.get)
  for (const path of PATHS) {
    app.get(path, { config: { access: 'public' }, schema: { hide: true } }, (request, reply) => {
      docs.get().then(
        ({ pass }) => pass(request, reply),
        (error: unknown) => reply.send(error),
      )
    })
  }
}
