/** Calls the API with types that its description gives: the compiler knows paths, answers and refusals. */
import createClient from 'openapi-fetch'
import type { paths } from './api-types.ts'

const { API_URL = 'http://127.0.0.1:3000', TOKEN = '' } = process.env

const api = createClient<paths>({ baseUrl: API_URL, headers: { authorization: `Bearer ${TOKEN}` } })
const { data, error } = await api.GET('/secure-data')

if (data) {
  console.log(data.message)
} else {
  console.error(`${error.status} ${error.code}: ${error.detail}`)
  process.exitCode = 1
}
