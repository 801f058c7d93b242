import { test } from 'tap'
import { isSearchable, isWholeJson } from '../../src/access-key/content.ts'

test('looks into text that is not compressed', async t => {
  const types = ['application/json', 'application/json; charset=utf-8', 'Application/JSON', 'application/problem+json', 'text/plain', 'text/event-stream', 'text/csv', 'application/xml', 'image/svg+xml', 'application/x-www-form-urlencoded', 'application/x-ndjson', 'application/javascript', undefined]
  for (const type of types) {
    t.equal(isSearchable({ 'content-type': type }), true, String(type))
    t.equal(isSearchable({ 'content-type': type, 'content-encoding': 'gzip' }), false, `${type}, compressed`)
    t.equal(isSearchable({ 'content-type': type, 'content-encoding': 'identity' }), true)
  }
  for (const type of ['application/octet-stream', 'application/zip', 'image/png', 'application/jsonish', 'application/gzip']) t.equal(isSearchable({ 'content-type': type }), false, type)
})

test('rewrites URLs in whole JSON bodies only', async t => {
  t.equal(isWholeJson({ 'content-type': 'application/json; charset=utf-8' }), true)
  t.equal(isWholeJson({ 'content-type': 'application/hal+json' }), true)
  for (const headers of [{}, { 'content-type': 'text/html' }, { 'content-type': 'application/x-ndjson' }, { 'content-type': 'application/json', 'content-encoding': 'br' }, { 'content-type': 'application/json', 'content-range': 'bytes 0-9/100' }]) {
    t.equal(isWholeJson(headers), false, JSON.stringify(headers))
  }
})
