import type { Settings } from '../config/table.ts'
import { KeyFault } from './key-text.ts'
import { CommandSource } from './source-command.ts'
import { createEnvironmentSource } from './source-environment.ts'
import { FileSource } from './source-file.ts'
import type { KeySource } from './source.ts'

/** The settings that name the source. */
export type KeySettings = Pick<Settings, 'accessKeyFile' | 'accessKeyCommand' | 'accessKeyCommandTimeout' | 'accessKeyCommandTtl' | 'accessKey'>

export interface SourceOptions {
  settings: KeySettings
  /** What a command may see of it; the key itself is taken out. */
  environment: Record<string, string | undefined>
  onErrorOutput: (text: string, succeeded: boolean) => void
}

export function chooseSource ({ settings, environment, onErrorOutput }: SourceOptions): KeySource {
  if (settings.accessKeyFile !== undefined) return new FileSource(settings.accessKeyFile)
  if (settings.accessKeyCommand !== undefined) {
    return new CommandSource({
      command: settings.accessKeyCommand,
      environment,
      timeoutMs: settings.accessKeyCommandTimeout,
      timeToLiveMs: settings.accessKeyCommandTtl,
      onErrorOutput
    })
  }
  if (settings.accessKey !== undefined) return createEnvironmentSource(settings.accessKey)
  return noSource
}

const noSource: KeySource = {
  kind: 'none',
  name: 'the settings',
  read: async () => { throw new KeyFault('name no access key', 'set IZUMA_ACCESS_KEY_FILE to a file (mode 0600) that holds the key') },
  rereadWhenRefused: false,
  retryAfterMs: () => Infinity,
  watch () {},
  close () {}
}
