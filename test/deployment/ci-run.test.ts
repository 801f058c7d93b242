import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'

/** Runs `.ci/run` in a folder where npm, npx and apt-get are shell scripts of the test's own. */
function runCi (t: Test, commands: { npm: string, npx?: string }) {
  const folder = mkdtempSync(join(tmpdir(), 'ci-run-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, '.ci'))
  mkdirSync(join(folder, 'bin'))
  copyFileSync('.ci/run', join(folder, '.ci/run'))
  for (const [name, text] of Object.entries({ npx: 'exit 1', 'apt-get': 'exit 0', ...commands })) {
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(folder, 'bin', name), 0o755)
  }
  const { status, stdout } = spawnSync('bash', [join(folder, '.ci/run')], { encoding: 'utf8', env: { ...process.env, PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}` } })
  return { status, last: stdout.trimEnd().split('\n').at(-1) }
}

/** An npm whose `ci` works and whose `test` prints the headers of three static checks. */
const npm = (test: string) => `[ "$1" = ci ] && exit 0\nfor check in style types imports; do echo "> izuma-proxy@0.1.0 lint:$check"; done\n${test}`
const results = (closing: string) => `printf '%s\\n' 'ok 1 - a file' '${closing}' >"$TAP_OUTPUT_FILE"`

t.test('counts assertions and static checks', async t => {
  t.same(runCi(t, { npm: npm(results('# { total: 40, pass: 40 }')) }), { status: 0, last: '43 passed, 0 failed' })
})

t.test('a failing test fails it', async t => {
  t.same(runCi(t, { npm: npm(`${results('# { total: 40, pass: 38, fail: 2 }')}; exit 1`) }), { status: 1, last: '41 passed, 2 failed' })
})

t.test('a failing static check fails it, and the tests run all the same', async t => {
  t.same(runCi(t, { npm: npm('exit 2'), npx: `[ "$3" = build ] || ${results('# { total: 5, pass: 5 }')}` }), { status: 1, last: '5 passed, 1 failed' })
})

t.test('a skipped test fails it: on CI everything runs', async t => {
  t.same(runCi(t, { npm: npm(results('# { total: 5, pass: 4, skip: 1 }')) }), { status: 1, last: '7 passed, 1 failed' })
})

t.test('a command that failed has failed, whatever it counted; and nothing counted is a failure', async t => {
  t.same(runCi(t, { npm: npm(`${results('# { total: 5, pass: 5 }')}; exit 9`) }), { status: 1, last: '8 passed, 1 failed' })
  t.same(runCi(t, { npm: npm('exit 0') }), { status: 1, last: '0 passed, 2 failed' })
  t.same(runCi(t, { npm: 'exit 1' }), { status: 1, last: '0 passed, 1 failed' })
})
