import { readFileSync } from 'node:fs'
import t from 'tap'
import { renderPage } from '../../src/cli/reference.ts'

t.test('config/README.md is what the program says of itself (else: npm run docs)', async t => {
  t.equal(readFileSync(new URL('../../config/README.md', import.meta.url), 'utf8'), renderPage())
})
