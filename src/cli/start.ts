import { buildProxy, listen } from '../app.ts'
import { drain } from '../ops/drain.ts'
import type { Command } from './command.ts'
import { version } from './version.ts'

export const command: Command = {
  name: 'start',
  summary: 'start the proxy (the default command)',
  help: `
Listens on 127.0.0.1:8080, puts the access key on every request and sends it to the API.

  izuma-proxy start --access-key-file ~/.izuma-key
  IZUMA_ACCESS_KEY_COMMAND='pass show izuma/key' izuma-proxy start --listen 127.0.0.1:9000

SIGTERM and SIGINT let running requests end, then exit 0; a second one exits at once. SIGHUP reads the key and the team file anew.`,
  options: {},
  takesSettings: true,
  async run ({ settings: load, terminal }) {
    const settings = load()
    const proxy = await buildProxy({ settings, environment: terminal.environment, stdout: terminal.stdout, program: { version: version(), node: terminal.nodeVersion } })
    const stopReloading = terminal.onHangup(() => proxy.reload())
    try {
      const { url } = await listen(proxy)
      proxy.app.log.info({ url, api: proxy.app.upstream.origin, pid: terminal.pid, version: version() }, 'listening')
      await proxy.stopRequested(terminal.interrupted)
      await drain(proxy.app, { timeoutMs: settings.drainTimeout })
      return 0
    } catch (error) {
      await proxy.app.close()
      throw error
    } finally {
      stopReloading()
    }
  }
}
