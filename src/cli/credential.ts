/** Decides how an application proves itself to the issuer: which variables say so, and what msal-node gets of it. */
import { readFile } from 'node:fs/promises'
import type { NodeAuthOptions } from '@azure/msal-node'
import { readCertificate } from '../certificate.ts'
import { Misconfigured, type Problem } from '../errors.ts'

import type { Io } from './io.ts'
import { Usage } from './options.ts'
import { prompt } from './prompt.ts'
import type { Env } from './variables.ts'

/** The variables of one application. */
export interface CredentialNames {
  readonly secret: string
  readonly certificatePath: string
  readonly federatedTokenFile: string
}

/** Those of the calling application. */
export const CALLER: CredentialNames = {
  secret: 'TOKEN_CLIENT_SECRET',
  certificatePath: 'TOKEN_CLIENT_CERTIFICATE_PATH',
  federatedTokenFile: 'TOKEN_FEDERATED_TOKEN_FILE',
}

/** Those of this API, with which it calls on behalf of its callers. */
export const API: CredentialNames = {
  secret: 'AZURE_CLIENT_SECRET',
  certificatePath: 'AZURE_CLIENT_CERTIFICATE_PATH',
  federatedTokenFile: 'AZURE_FEDERATED_TOKEN_FILE',
}

/** How an application proves itself. A secret must never reach a message. */
export type Credential =
  | { readonly secret: string }
  | { readonly certificatePath: string; readonly name: string }
  | { readonly federatedTokenFile: string; readonly name: string }
  /** A person at the terminal is asked for the secret that this variable would hold. */
  | { readonly askFor: string }

/**
 * Finds the credential of an application.
 *
 * @param registered the secret that the local tenant knows of it
 * @param canAsk whether a person at a terminal can be asked
 * @returns undefined with a problem: none, or more than one
 */
export function readCredential(
  env: Env,
  names: CredentialNames,
  registered: string | undefined,
  canAsk: boolean,
  problems: Problem[],
): Credential | undefined {
  const { secret, certificatePath, federatedTokenFile } = names
  const given = Object.values(names).filter(name => env[name])
  if (given.length > 1) {
    problems.push({
      name: given[0]!,
      found: `a value, and ${given.slice(1).join(' and ')} too`,
      expected: 'one of them',
      example: `${given[0]}=`,
    })
    return undefined
  }
  if (env[certificatePath]) return { certificatePath: env[certificatePath], name: certificatePath }
  if (env[federatedTokenFile])
    return { federatedTokenFile: env[federatedTokenFile], name: federatedTokenFile }
  const known = env[secret] || registered
  if (known) return { secret: known }
  if (canAsk) return { askFor: secret }
  problems.push({
    name: secret,
    found: `nothing, and no ${certificatePath} or ${federatedTokenFile}`,
    expected: 'the credential of the application: one of the three',
    example: `${certificatePath}=./application.pem`,
  })
  return undefined
}

/**
 * Fetches what proves the application, in msal-node's terms.
 *
 * @throws {Misconfigured} when a file does not hold it, naming the file and never the content
 */
export async function proofOf(credential: Credential, io: Io): Promise<Partial<NodeAuthOptions>> {
  if ('secret' in credential) return { clientSecret: credential.secret }
  if ('askFor' in credential) return { clientSecret: await askFor(credential.askFor, io) }
  if ('certificatePath' in credential) {
    return { clientCertificate: readCertificate(credential.certificatePath, credential.name) }
  }
  return { clientAssertion: await readAssertion(credential.federatedTokenFile, credential.name) }
}

async function askFor(name: string, io: Io): Promise<string> {
  const secret = (await prompt(io, `${name} (it is not shown): `)).trim()
  if (secret === '') throw new Usage(`no secret was typed: set ${name}, or type it`)
  return secret
}

/** The platform renews the file; a run reads it once. */
async function readAssertion(path: string, name: string): Promise<string> {
  const refuse = (found: string): never => {
    throw new Misconfigured([
      {
        name,
        found: `${found} at ${path}`,
        expected: 'a readable file with the token of the outside issuer',
        example: '/var/run/secrets/azure/tokens/azure-identity-token',
      },
    ])
  }
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => refuse(error.code!))
  return text.trim() || refuse('an empty file')
}
