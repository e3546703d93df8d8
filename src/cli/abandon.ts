/** Decides how a sign-in that nobody finishes stops listening. */
import type { Network } from './network.ts'

/**
 * Ends a sign-in of MSAL, which listens until an answer comes; none comes from a closed window. So answer in the
 * browser's place, with the state that only the two of us know; that closes the listener.
 *
 * @param shown the authorization URL; undefined when it did not come to that
 */
export async function abandon(shown: string | undefined, network: Network): Promise<void> {
  if (shown === undefined) return
  const query = new URL(shown).searchParams
  const answer = new URLSearchParams({ error: 'timed_out', state: query.get('state')! })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  // The listener may be gone, or go while it answers: either is what we want.
  await network
    .send('POST', `${query.get('redirect_uri')}/`, { headers, body: `${answer}` })
    .catch(() => undefined)
}
