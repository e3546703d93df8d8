/** Decides who lives in the local tenant: the people who can sign in, and what each of them has consented to. */

import type { LocalPerson } from './profile.ts'

/** A person as the issuer sees them. */
export interface Person extends LocalPerson {
  /** The API's scopes this person has consented to; a token for the API holds no other. */
  readonly consents: readonly string[]
  /** Whether their home is the partner tenant. */
  readonly guest: boolean
}

/** The scopes that the protected API defines. */
export const API_SCOPES: readonly string[] = ['Data.Read', 'Profile.Read']

/** The application permission that the protected API defines. */
export const API_ROLE = 'Data.Read.All'

/** Everyone in the directory, in the order of the sign-in page. */
export const PEOPLE: readonly Person[] = [
  {
    handle: 'ada',
    name: 'Ada Lovelace',
    username: 'ada@local.localhost',
    about: 'has consented to Data.Read',
    consents: ['Data.Read', 'Profile.Read'],
    guest: false,
  },
  {
    handle: 'bob',
    name: 'Bob Noether',
    username: 'bob@local.localhost',
    about: 'signs in, but without Data.Read',
    consents: ['Profile.Read'],
    guest: false,
  },
  {
    handle: 'gus',
    name: 'Gus Babbage',
    username: 'gus@partner.localhost',
    about: 'a guest from a partner tenant, with Data.Read',
    consents: ['Data.Read'],
    guest: true,
  },
]

/** @returns the person with this handle or username, if they live here */
export function findPerson(name: string): Person | undefined {
  return PEOPLE.find(person => person.handle === name || person.username === name)
}

/** What the profile says of everyone. */
export function describePeople(): LocalPerson[] {
  return PEOPLE.map(({ handle, name, username, about }) => ({ handle, name, username, about }))
}
