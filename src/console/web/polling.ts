import { useEffect, useRef, useState } from 'preact/hooks'
import { ask, describeFailure, isAborted, isWrongQuery } from './api.ts'

export interface Polled<Answer> { answer: Answer | undefined, failure: string | undefined }

/**
 * Asks again and again, and not while nobody looks. A failure keeps the last answer: it is better than an empty page.
 *
 * @param pathOf the path, if it is another one each time; a change of `key` asks at once
 */
export function usePolling<Answer> (key: string, everyMs: number, pathOf = (): string => key): Polled<Answer> {
  const [polled, setPolled] = useState<Polled<Answer>>({ answer: undefined, failure: undefined })
  const latest = useRef(pathOf)
  latest.current = pathOf
  useEffect(() => {
    const stop = new AbortController()
    let timer = 0
    const look = async (): Promise<void> => {
      try {
        if (!document.hidden) {
          const answer = await ask<Answer>(latest.current(), { signal: stop.signal })
          setPolled({ answer, failure: undefined })
        }
      } catch (error) {
        if (isAborted(error)) return
        setPolled(last => ({ answer: last.answer, failure: describeFailure(error) }))
        if (isWrongQuery(error)) return
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
  }, [key, everyMs])
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
