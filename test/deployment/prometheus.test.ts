import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { listMetrics } from '../support/metered-app.ts'
import { missingTool } from '../support/tools.ts'
import { namedMetrics, runPromtool } from './promql.ts'

const skip = missingTool(['promtool'], 'prometheus')
const alertsFile = 'config/prometheus/alerts.yaml'
const tested = 'test/deployment/alerts.test.yaml'

interface Rules { groups: Array<{ rules: Array<{ alert: string, expr: string, labels: { severity: string }, annotations: { summary: string, description: string } }> }> }
const rules = (parse(readFileSync(alertsFile, 'utf8')) as Rules).groups.flatMap(group => group.rules)

t.test('Prometheus takes the scrape configuration with the alert rules', { skip }, async t => {
  t.equal(runPromtool({ 'scrape.yaml': 'config/prometheus/scrape.yaml', 'alerts.yaml': alertsFile }, ['check', 'config', 'scrape.yaml']), undefined)
})

t.test('each alert fires on what it is for and keeps quiet on what is ordinary', { skip }, async t => {
  t.equal(runPromtool({ 'alerts.yaml': alertsFile, 'tests.yaml': tested }, ['test', 'rules', 'tests.yaml']), undefined)
})

t.test('each alert is tested both ways', async t => {
  const text = readFileSync(tested, 'utf8')
  for (const { alert } of rules) {
    t.match(text, `alertname: ${alert}}`, `${alert} keeps quiet`)
    t.match(text, `alertname="${alert}"`, `${alert} fires`)
  }
})

t.test('each alert asks for metrics that there are, says how urgent it is and what to do', async t => {
  const metrics = await listMetrics()
  for (const { alert, expr, labels, annotations } of rules) {
    const names = namedMetrics(expr)
    t.ok(names.length > 0 || expr.startsWith('up{'), alert)
    for (const name of names) t.ok(metrics.has(name), `${alert}: ${name}`)
    t.match(labels.severity, /^(page|ticket)$/)
    t.match(annotations, { summary: String, description: String })
  }
})
