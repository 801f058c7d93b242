import { follow, hrefOf } from './address.ts'
import type { List, MemberUsage, Session } from './answers.ts'
import { formatAgo, formatCount, formatDate } from './format.ts'
import { useNow, usePolling } from './polling.ts'

export function MembersPage ({ session }: { session: Session }) {
  const { answer, failure } = usePolling<List<MemberUsage>>('/_proxy/members', 3_000)
  const now = useNow(3_000)
  if (session.via === 'local') {
    return <p class='note'>This proxy has no team: everybody who can reach it from this machine is the member <code>local</code>, and is not counted. A team file (<code>PROXY_TEAM_FILE</code>) gives each member a token, a policy and limits.</p>
  }
  return (
    <>
      {failure !== undefined && <p class='failure' role='alert'>{failure}</p>}
      {answer === undefined ? <p>Loading…</p> : <MemberTable members={answer.data} now={now} />}
      {session.member.role !== 'admin' && <p class='note'>Admins see all members here.</p>}
    </>
  )
}

function MemberTable ({ members, now }: { members: MemberUsage[], now: number }) {
  return (
    <div class='scrolled' tabIndex={0} role='region' aria-label='Usage of today (UTC)'>
      <table class='members'>
        <caption>Usage of today (UTC) against the limits</caption>
        <thead><tr><th scope='col'>Member</th><th scope='col' class='role'>Role</th><th scope='col'>Last seen</th><th scope='col' class='number'>Requests today</th><th scope='col' class='number'>Open now</th><th scope='col' class='number'>Refused today</th></tr></thead>
        <tbody>
          {members.map(member => (
            <tr key={member.name}>
              <th scope='row'><a href={hrefOf('', new URLSearchParams({ member: member.name }))} onClick={follow}>{member.name}</a></th>
              <td class='role'>{member.role}</td>
              <td title={formatDate(member.last_seen)}>{formatAgo(member.last_seen, now)}</td>
              <td class='number'><Used label={`${member.name}: requests today`} used={member.requests_today} limit={member.daily} /></td>
              <td class='number'><Used label={`${member.name}: open now`} used={member.open} limit={member.concurrency} /></td>
              <td class='number'>{member.refused_today === 0 ? '0' : <a class='warn' href={hrefOf('', new URLSearchParams({ member: member.name, outcome: 'refused', range: '24h' }))} onClick={follow}>{formatCount(member.refused_today)}</a>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Used ({ label, used, limit }: { label: string, used: number, limit: number | null }) {
  if (limit === null) return <>{formatCount(used)}</>
  return <>{formatCount(used)} <span class='of'>of {formatCount(limit)}</span> <meter aria-label={label} min={0} max={limit} high={limit * 0.9} value={Math.min(used, limit)} /></>
}
