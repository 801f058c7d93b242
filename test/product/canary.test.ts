import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { drive, readFolder, search, startCanary, type Seen } from '../support/canary.ts'
import { findWindows } from '../support/leaks.ts'
import { runCommand } from '../support/process.ts'

t.test('the access key and the member token are nowhere but where they belong', async t => {
  const canary = await startCanary(t)
  const { folder, proxy, words, collector } = canary
  const seen: Seen = new Map()
  await drive(t, canary, seen)
  seen.set('the process list', readFileSync(`/proc/${proxy.pid}/cmdline`, 'latin1'))
  seen.set('its environment', readFileSync(`/proc/${proxy.pid}/environ`, 'latin1'))
  // Without a listener Node.js opens a debugger at this signal, to which any user of the machine can connect.
  process.kill(proxy.pid, 'SIGUSR1')
  // It writes a report, and ends in good order.
  const code = await proxy.stop('SIGUSR2')
  t.ok(readdirSync(folder).some(name => name.startsWith('report.')), 'a report was written')
  if (code !== 0) t.comment(proxy.output().slice(-3000))
  t.equal(code, 0)
  seen.set('spans', collector.requests.map(({ text, headers }) => text + JSON.stringify(headers)).join())
  seen.set('standard output and error', proxy.output())
  const settings = words.filter((_, index) => ['--team-file', '--trail', '--access-key-file', '--api-host', '--ca-file'].includes(words[index] ?? '') || ['--team-file', '--trail', '--access-key-file', '--api-host', '--ca-file'].includes(words[index - 1] ?? ''))
  for (const command of [['trail', 'list', '--json'], ['check', '--json'], ['team', 'list', '--json']]) {
    const wanted = command[0] === 'team' ? settings.slice(settings.indexOf('--team-file'), settings.indexOf('--team-file') + 2) : settings
    const { stdout, stderr } = await runCommand([...command, ...wanted], { cwd: folder })
    seen.set(command.join(' '), stdout + stderr)
  }
  seen.set('files', readFolder(folder))
  t.ok(seen.size > 25, `${seen.size} places were searched`)
  t.notMatch(proxy.output(), /debugger/i)
  search(t, seen, canary)
})

t.test('the search finds a key that was planted', async t => {
  const secret = 'S3cr3tS3cr3tPl4nt3dPl4nt3dPl4nt3'
  for (const text of [`x${secret}x`, Buffer.from(`..${secret}`).toString('base64'), encodeURIComponent(`/${secret}`), secret.slice(5, 25)]) t.not(findWindows(text, secret).length, 0)
})
