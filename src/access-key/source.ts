import type { Secret } from './secret.ts'

/** Where the key comes from. One is in use, chosen by the settings; each has a file of its own in this folder. */
export interface KeySource {
  readonly kind: 'file' | 'command' | 'environment' | 'none'
  /** How it is called in a log line and before a KeyFault's message: a path, a setting's name. */
  readonly name: string
  /** Said once, at start. */
  readonly warning?: string
  /** Reads the key now. Rejects with a KeyFault. Never called while another read is under way. */
  read (): Promise<Secret>
  /** Milliseconds after which a key that was read is read again; the source has no other way to notice a change. */
  readonly timeToLiveMs?: number
  /** A refused key is read again: the source may know a newer one than it said last. */
  readonly rereadWhenRefused: boolean
  /** After a failure, milliseconds until the next attempt. `attempt` counts from 1. */
  retryAfterMs (attempt: number): number
  /** Calls back when reading again is worthwhile. */
  watch (onChange: () => void): void
  close (): void
}
