/** Decides how a test stands in for a whole cloud: documents under their public addresses, answered by one TLS server on loopback. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import { createAuthority, createServerCertificate } from '../../src/local-tenant/certificates.ts'

/** A cloud. */
export interface Cloud {
  /** By whole address, query included. May change at any time; what is not here answers 404. */
  readonly documents: Map<string, object>
  /** The whole address of every request, oldest first. */
  readonly requests: string[]
  /** Takes every https request to this cloud, whichever host it names; nothing leaves the machine. */
  readonly dispatcher: Dispatcher
}

/** Starts a cloud for a test and stops it with the test. Its certificate is checked against its own authority. */
export async function startCloud(t: Test): Promise<Cloud> {
  const authority = await createAuthority()
  const { certificate, privateKey } = await createServerCertificate(authority)
  const documents: Cloud['documents'] = new Map()
  const requests: string[] = []
  const server = createServer({ cert: certificate, key: privateKey }, (request, response) => {
    const address = `https://${request.headers.host}${request.url}`
    requests.push(address)
    const document = documents.get(address)
    response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(document ?? {}))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const connect = buildConnector({ ca: authority.certificate })
  const dispatcher = new Agent({
    connect: (options, done) =>
      connect(
        { ...options, hostname: '127.0.0.1', host: 'localhost', port: String(port), servername: 'localhost' },
        done,
      ),
  })
  t.teardown(async () => {
    await dispatcher.destroy()
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return { documents, requests, dispatcher }
}
