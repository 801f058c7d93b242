import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext } from 'playwright-core'
import type { Test } from 'tap'

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'

/** Why browser tests can't run here, or `false`. In CI a missing browser is an error, and launching says so. */
export const noBrowser: string | false = existsSync(executablePath) || process.env['CI'] !== undefined
  ? false
  : `needs Chromium at ${executablePath} (apt-get install chromium), or CHROMIUM=/path`

/** A Chromium of its own, taken down with the test. `hosts`: names that resolve to this machine. */
export async function startBrowser (t: Test, hosts: string[] = []): Promise<BrowserContext> {
  const profile = mkdtempSync(join(tmpdir(), 'izuma-proxy-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      `--host-resolver-rules=${hosts.map(host => `MAP ${host} 127.0.0.1`).join(',')}`
    ]
  })
  t.teardown(async () => {
    await context.close()
    rmSync(profile, { recursive: true, force: true })
  })
  return context
}
