import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadSettings } from '../../src/config/load.ts'
import { missingTool } from '../support/tools.ts'

const skip = missingTool(['systemd-analyze'], 'systemd')
const unit = readFileSync('config/systemd/izuma-proxy.service', 'utf8')
const valuesOf = (name: string) => [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value)

/** With this machine's Node in place of the one the unit expects, since systemd looks whether it is there. */
function analyze (t: Test, args: string[], text = unit): { status: number | null, output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'systemd-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'izuma-proxy.service')
  writeFileSync(file, text.replace('/usr/bin/node', process.execPath))
  const { status, stdout, stderr } = spawnSync('systemd-analyze', [...args, file], { encoding: 'utf8', env: { ...process.env, SYSTEMD_LOG_LEVEL: 'warning' } })
  return { status, output: stdout + stderr }
}

t.test('systemd takes the unit without a word', { skip }, async t => {
  t.same(analyze(t, ['verify']), { status: 0, output: '' })
  t.match(analyze(t, ['verify'], unit.replace('RestrictSUIDSGID', 'RestrictSUIDGUID')).output, /RestrictSUIDGUID/, 'an unknown line would be found')
})

t.test('its sandbox leaves little exposed', { skip }, async t => {
  const { output } = analyze(t, ['security', '--offline=true', '--no-pager'])
  const [, level = '10'] = /exposure level for izuma-proxy\.service: ([\d.]+)/.exec(output) ?? []
  t.ok(Number(level) < 2, output.slice(-300))
})

t.test('the key is a credential, and the settings are settings', async t => {
  const environment = Object.fromEntries(valuesOf('Environment').map(line => line.split(/=(.*)/s) as [string, string]))
  const [credential = ''] = valuesOf('LoadCredential')
  t.equal(environment['IZUMA_ACCESS_KEY_FILE'], `%d/${credential.split(':')[0]}`)
  const { NODE_ENV, ...settings } = environment
  t.equal(NODE_ENV, 'production')
  t.doesNotThrow(() => loadSettings({ flags: {}, environment: settings, dotenv: {} }))
})

t.test('it has time to drain, reloads by SIGHUP, and opens no debugger', async t => {
  t.ok(Number.parseInt(valuesOf('TimeoutStopSec')[0] ?? '0') * 1000 > loadSettings({ flags: {}, environment: {}, dotenv: {} }).drainTimeout)
  t.match(valuesOf('ExecReload')[0], /-HUP \$MAINPID$/)
  t.match(valuesOf('ExecStart')[0], / --disable-sigusr1 \/opt\/izuma-proxy\/dist\/main\.js start$/)
})
