import { useEffect, useState } from 'preact/hooks'
import { ask, describeFailure, isAborted } from './api.ts'

export interface Polled<Answer> { answer: Answer | undefined, failure: string | undefined }

/**
 * Asks again and again, and not while nobody looks. A failure keeps the last answer: it is better than an empty page.
 *
 * @param path `undefined`: not now
 */
export function usePolling<Answer> (path: string | undefined, everyMs: number): Polled<Answer> {
  const [polled, setPolled] = useState<Polled<Answer> & { path: string | undefined }>({ path: undefined, answer: undefined, failure: undefined })
  useEffect(() => {
    if (path === undefined) return
    const stop = new AbortController()
    let timer = 0
    const look = async (): Promise<void> => {
      try {
        if (!document.hidden) {
          const answer = await ask<Answer>(path, { signal: stop.signal })
          setPolled({ path, answer, failure: undefined })
        }
      } catch (error) {
        if (isAborted(error)) return
        setPolled(last => ({ path, answer: last.answer, failure: describeFailure(error) }))
      }
      if (!stop.signal.aborted) timer = setTimeout(look, everyMs)
    }
    const lookAgain = (): void => {
      if (document.hidden) return
      clearTimeout(timer)
      void look()
    }
    void look()
    document.addEventListener('visibilitychange', lookAgain)
    return () => {
      stop.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', lookAgain)
    }
  }, [path, everyMs])
  return polled
}

/** The time, renewed every so often: for how long ago things were. */
export function useNow (everyMs: number): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}
