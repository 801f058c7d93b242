import { useEffect, useState } from 'preact/hooks'

const base = '/_proxy/console/'

export type PageName = '' | 'members' | 'channel' | 'health'

export const pageNames: PageName[] = ['', 'members', 'channel', 'health']

export interface Address { page: PageName, params: URLSearchParams }

const listeners = new Set<() => void>()

function read (): Address {
  const name = location.pathname.slice(base.length)
  return { page: pageNames.find(page => page === name) ?? '', params: new URLSearchParams(location.search) }
}

export function hrefOf (page: PageName, params?: URLSearchParams): string {
  const search = params?.toString() ?? ''
  return `${base}${page}${search === '' ? '' : `?${search}`}`
}

/** `replace` for what should not be a step of the history, such as a text being typed. */
export function go (href: string, { replace = false } = {}): void {
  if (href === location.pathname + location.search) return
  history[replace ? 'replaceState' : 'pushState'](null, '', href)
  for (const listener of listeners) listener()
}

export function useAddress (): Address {
  const [address, setAddress] = useState(read)
  useEffect(() => {
    const update = (): void => setAddress(read())
    listeners.add(update)
    addEventListener('popstate', update)
    return () => {
      listeners.delete(update)
      removeEventListener('popstate', update)
    }
  }, [])
  return address
}

/** For links within the page: a plain click goes without loading, every other one is the browser's. */
export function follow (event: MouseEvent): void {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  event.preventDefault()
  const { pathname, search } = event.currentTarget as HTMLAnchorElement
  go(pathname + search)
}
