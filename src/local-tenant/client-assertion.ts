/** Decides whether a client assertion proves an application: its own signature, or the word of an issuer it is federated with. */

import { createHash, createPublicKey, X509Certificate } from 'node:crypto'
import { decodeJwt, type JWTHeaderParameters, type JWTVerifyOptions, jwtVerify } from 'jose'
import { Aadsts } from './aadsts.ts'
import type { Application, Directory } from './directory.ts'

// Clients have clocks of their own; Entra forgives them five minutes.
const SKEW_SECONDS = 300
const FEDERATED_AUDIENCE = 'api://AzureADTokenExchange'

/** The certificate that the header names, by either thumbprint or in full. */
function findCertificate({ certificates }: Application, header: JWTHeaderParameters): X509Certificate {
  const found = certificates
    .map(pem => new X509Certificate(pem))
    .find(({ raw }) => {
      const thumbprint = (hash: string) => createHash(hash).update(raw).digest('base64url')
      return (
        header['x5t#S256'] === thumbprint('sha256') ||
        header.x5t === thumbprint('sha1') ||
        header.x5c?.[0] === raw.toString('base64')
      )
    })
  if (!found) throw new Error('the header names no certificate that is registered')
  return found
}

/**
 * Checks a client assertion (RFC 7523 §2.2): signed with the key of a registered certificate, or a token of an
 * issuer and subject that the application is federated with.
 * @throws Aadsts 700027, 700213
 */
export async function checkAssertion(
  directory: Directory,
  client: Application,
  assertion: string,
): Promise<void> {
  const common: JWTVerifyOptions = {
    algorithms: ['RS256', 'PS256'],
    requiredClaims: ['exp'],
    currentDate: new Date(directory.now()),
    clockTolerance: SKEW_SECONDS,
  }
  try {
    const { iss, sub } = decodeJwt(assertion)
    if (iss === client.clientId) {
      // `jti` is deliberately not single-use: msal-node sends one assertion until it expires.
      const audience = `${directory.authority}/${directory.state.tenantId}/oauth2/v2.0/token`
      const options = { ...common, subject: client.clientId, audience }
      await jwtVerify(assertion, header => findCertificate(client, header).publicKey, options)
      return
    }
    const record = client.federated.find(({ issuer, subject }) => issuer === iss && subject === sub)
    if (!record) throw new Aadsts(700213, `Issuer: ${iss}. Subject: ${sub}.`)
    await jwtVerify(assertion, createPublicKey(record.publicKey), {
      ...common,
      audience: FEDERATED_AUDIENCE,
    })
  } catch (cause) {
    throw cause instanceof Aadsts ? cause : new Aadsts(700027, undefined, { cause })
  }
}
