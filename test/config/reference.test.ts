import { readFileSync } from 'node:fs'
import t from 'tap'
import { renderReference } from '../../src/config/reference.ts'

t.test('config/README.md is what the program says of itself (else: npm run docs)', async t => {
  t.equal(readFileSync(new URL('../../config/README.md', import.meta.url), 'utf8'), renderReference())
})
