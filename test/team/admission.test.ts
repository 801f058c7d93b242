import { test } from 'tap'
import { createToken, digestToken } from '../../src/team/token.ts'
import { startTeamServer } from '../support/team-server.ts'

test('lets a member in by the token in Authorization, whatever the case of the scheme', async t => {
  const token = createToken()
  const { url, entries } = await startTeamServer(t, { team: { members: { alice: { tokens: [{ sha256: digestToken(token) }] } } } })
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEARER ']) {
    const response = await fetch(`${url}/v3/devices`, { headers: { authorization: `${scheme} ${token}` } })
    t.equal(response.status, 200, scheme)
    t.same(await response.json(), { member: { name: 'alice', role: 'member' }, decision: 'allow' })
  }
  t.equal(entries[0]?.member, 'alice')
})
