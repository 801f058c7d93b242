import { useCallback, useEffect, useState } from 'preact/hooks'
import { follow, hrefOf, useAddress, type PageName } from './address.ts'
import type { Session } from './answers.ts'
import { AnswerError, ask, describeFailure, whenSessionIsLost } from './api.ts'
import { ChannelPage } from './channel-page.tsx'
import { HealthPage } from './health-page.tsx'
import { LoginPage } from './login-page.tsx'
import { MembersPage } from './members-page.tsx'
import { RequestsPage } from './requests-page.tsx'

const pages: Array<[PageName, string]> = [['', 'Requests'], ['members', 'Members'], ['channel', 'Channel'], ['health', 'Health']]

/** `undefined`: not known yet; `null`: nobody is logged in. */
type Who = Session | null | undefined

export function App () {
  const [who, setWho] = useState<Who>(undefined)
  const [notice, setNotice] = useState('')
  const load = useCallback(() => { loadSession().then(setWho, () => setNotice('The proxy can’t be reached.')) }, [])
  useEffect(() => {
    whenSessionIsLost(() => {
      setNotice('Your session has ended. Log in again to go on.')
      setWho(null)
    })
    load()
  }, [])
  const logOut = async (): Promise<void> => {
    try {
      await ask('/_proxy/session', { method: 'DELETE', headers: { 'X-CSRF-Token': who?.csrf_token ?? '' } })
    } catch (error) {
      // The cookie still holds: who leaves the machine must know.
      if (!(error instanceof AnswerError && error.status === 401)) return setNotice(`You are still logged in. ${describeFailure(error)}`)
    }
    setNotice('You are logged out.')
    setWho(null)
  }
  const logIn = (session: Session): void => {
    setNotice('')
    setWho(session)
  }
  if (who === undefined) return <main class='waiting'>{notice === '' ? <p>Loading…</p> : <p role='alert'>{notice} <button onClick={load}>Try again</button></p>}</main>
  if (who === null) return <LoginPage notice={notice} onLogin={logIn} />
  return <Shell session={who} notice={notice} onLogOut={logOut} />
}

async function loadSession (): Promise<Session | null> {
  try {
    return await ask<Session>('/_proxy/session')
  } catch (error) {
    if (error instanceof AnswerError && error.status === 401) return null
    throw error
  }
}

function Shell ({ session, notice, onLogOut }: { session: Session, notice: string, onLogOut: () => void }) {
  const { page, params } = useAddress()
  const title = pages.find(([name]) => name === page)?.[1] ?? ''
  useEffect(() => { document.title = `${title} · izuma-proxy` }, [title])
  return (
    <>
      <header class='top'>
        <span class='brand'>izuma-proxy</span>
        <nav aria-label='Pages'>
          {pages.map(([name, label]) => <a key={name} href={hrefOf(name)} onClick={follow} aria-current={name === page ? 'page' : undefined}>{label}</a>)}
        </nav>
        <div class='who'>
          <span class='name' title={session.member.role}>{session.member.name}</span>
          {session.via === 'session' && <button class='plain' onClick={onLogOut}>Log out</button>}
        </div>
      </header>
      {notice !== '' && <p class='failure strip' role='alert'>{notice}</p>}
      <main class={page === '' ? 'filled' : 'page'}>
        <h1 class={page === '' ? 'unseen' : ''}>{title}</h1>
        {page === '' && <RequestsPage params={params} session={session} />}
        {page === 'members' && <MembersPage session={session} />}
        {page === 'channel' && <ChannelPage />}
        {page === 'health' && <HealthPage />}
      </main>
    </>
  )
}
