import { readFileSync } from 'node:fs'
import t from 'tap'
import { listMetrics } from '../support/metered-app.ts'
import { missingTool } from '../support/tools.ts'
import { findSyntaxFault, namedMetrics } from './promql.ts'

interface Panel { id: number, title: string, type: string, gridPos: { x: number, y: number, w: number, h: number }, targets: Array<{ expr: string, refId: string, datasource: { uid: string } }> }
interface Dashboard { title: string, uid: string, schemaVersion: number, panels: Panel[], templating: { list: Array<{ name: string, type: string }> } }

const dashboard = JSON.parse(readFileSync('config/grafana/dashboard.json', 'utf8')) as Dashboard
const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
/** As Grafana fills them in before it asks. */
const filled = expressions.map(expr => expr.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '3h').replaceAll('$instance', '.*'))

t.test('has panels of their own id and place, inside the grid', async t => {
  t.match(dashboard, { title: 'izuma-proxy', uid: 'izuma-proxy', schemaVersion: 39 })
  t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
  const taken = new Set<string>()
  for (const { title, gridPos: { x, y, w, h } } of dashboard.panels) {
    t.ok(x >= 0 && x + w <= 24 && h > 0, title)
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        if (taken.has(`${column} ${row}`)) t.fail(`${title} lies on another panel`)
        taken.add(`${column} ${row}`)
      }
    }
  }
})

t.test('every panel asks the chosen data source for the chosen instances', async t => {
  t.same(dashboard.templating.list.map(({ name, type }) => [name, type]), [['datasource', 'datasource'], ['instance', 'query']])
  for (const { title, targets } of dashboard.panels) {
    t.ok(targets.length > 0, title)
    for (const { expr, datasource } of targets) {
      t.equal(datasource.uid, '${datasource}') // eslint-disable-line no-template-curly-in-string -- Grafana's own
      t.match(expr, 'instance=~"$instance"')
    }
  }
})

t.test('every metric that is asked for exists', async t => {
  const metrics = await listMetrics()
  for (const expr of expressions) for (const name of namedMetrics(expr)) t.ok(metrics.has(name), name)
})

t.test('every expression is PromQL', { skip: missingTool(['promtool'], 'prometheus') }, async t => {
  t.equal(findSyntaxFault(filled), undefined)
  t.match(findSyntaxFault(['sum(']), /parse error|unexpected/, 'what is not would be found')
})
