import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'

interface Workflow { permissions: object, jobs: Record<string, { 'timeout-minutes': number, permissions: object, steps: Array<{ uses?: string, run?: string, with?: Record<string, unknown> }> }> }

const text = readFileSync('.github/workflows/ci.yml', 'utf8')
const workflow = parse(text) as Workflow
const steps = Object.values(workflow.jobs).flatMap(job => job.steps)

t.test('actions are pinned by commit and say which version that is', async t => {
  const uses = steps.flatMap(step => step.uses ?? [])
  t.ok(uses.length > 5)
  for (const action of uses) {
    t.match(action, /^[\w-]+\/[\w-]+@[0-9a-f]{40}$/)
    t.match(text, new RegExp(`uses: ${action.replace('/', '\\/')} # v\\d+\\.\\d+\\.\\d+`))
  }
})

t.test('nothing is permitted that a job does not ask for, no job runs for ever, and no checkout keeps a token', async t => {
  t.same(workflow.permissions, {})
  for (const [name, job] of Object.entries(workflow.jobs)) {
    t.ok(job.permissions, name)
    t.ok(job['timeout-minutes'] <= 30, name)
  }
  for (const step of steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'))) t.match(step.with, { 'persist-credentials': false })
})

t.test('no expression of an outsider\'s making gets into a shell', async t => {
  for (const { run = '' } of steps) t.notMatch(run, /\$\{\{/)
})

t.test('both versions of Node are tested by the script that everybody can run', async t => {
  t.match(text, "node: ['24', '26']")
  t.ok(steps.some(({ run }) => run === 'bash .ci/run'))
})
