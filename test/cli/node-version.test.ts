import { test } from 'tap'
import { runCommand } from '../support/process.ts'

/** What an older Node.js says of itself. */
const pretend = 'data:text/javascript,Object.defineProperty(process, "versions", { value: { ...process.versions, node: "22.11.0" } })'

test('a Node.js that is too old is told of, with what to do', async t => {
  const { code, stdout, stderr } = await runCommand(['version'], { cwd: t.testdir(), nodeOptions: ['--import', pretend] })
  t.equal(code, 1)
  t.equal(stdout, '')
  t.equal(stderr, 'izuma-proxy needs Node.js 24 or newer, and this is 22.11.0: install one (https://nodejs.org), or run the container image\n')
})
