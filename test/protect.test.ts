/** The plugin: who reaches a handler. */
import t from 'tap'
import { startApi } from './helpers/api.ts'

t.test('a user with the scope and an application with the role: both are greeted', async t => {
  const api = await startApi(t)
  const ada = await api.get('/secure-data', await api.tenant.issue({ person: 'ada' }))
  t.match(ada, { status: 200, json: { message: 'Hello Ada Lovelace, this is protected data.' } })
  const daemon = await api.get('/secure-data', await api.tenant.issue({ app: 'daemon', version: 1 }))
  t.match(daemon, { status: 200 })
  const nobody = await api.get('/secure-data')
  t.match(nobody, { status: 401, json: { code: 'no_credentials' } })
  t.equal(api.refusals().length, 1)
})
