import { useEffect, useRef, useState } from 'preact/hooks'
import type { Session } from './answers.ts'
import { AnswerError, ask, describeFailure } from './api.ts'

export function LoginPage ({ notice, onLogin }: { notice: string, onLogin: (session: Session) => void }) {
  const [failure, setFailure] = useState('')
  const [busy, setBusy] = useState(false)
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => {
    document.title = 'Log in · izuma-proxy'
    field.current?.focus()
  }, [])
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    setBusy(true)
    try {
      onLogin(await ask<Session>('/_proxy/session', { method: 'POST', body: { token: field.current?.value.trim() ?? '' } }))
    } catch (error) {
      setFailure(error instanceof AnswerError && error.status === 401 ? 'This token is not valid: wrong, expired or revoked.' : describeFailure(error))
      setBusy(false)
      field.current?.focus()
    }
  }
  return (
    <main class='login'>
      <form onSubmit={submit}>
        <h1>izuma-proxy</h1>
        {notice !== '' && <p role='status'>{notice}</p>}
        <label for='token'>Member token</label>
        <input
          id='token' ref={field} type='password' autocomplete='current-password' placeholder='izp_…' spellcheck={false} required
          aria-invalid={failure !== ''} aria-describedby='token-hint'
        />
        <p id='token-hint' class='hint'>It is exchanged for a cookie that lasts 12 hours, and not kept. Whoever runs the proxy makes tokens: <code>izuma-proxy team add NAME</code></p>
        {failure !== '' && <p role='alert' class='failure'>{failure}</p>}
        <button class='main' disabled={busy}>Log in</button>
      </form>
    </main>
  )
}
