import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { makeJwt, makeKey, makeMemberToken, makePublicPart, makeReferenceToken, makeShortKey } from '../support/synthetic-keys.ts'

const root = join(import.meta.dirname, '../..')

interface Rule { id: string, regex: RegExp }

/** The rules of .config/gitleaks.toml: of this language just what they use. */
function readRules (): Rule[] {
  const text = readFileSync(join(root, '.config/gitleaks.toml'), 'utf8')
  return text.split('[[rules]]').slice(1).map(rule => {
    const id = /^id = "(.+)"$/m.exec(rule)?.[1]
    const regex = /^regex = '''(.+)'''$/m.exec(rule)?.[1]
    if (id === undefined || regex === undefined) throw new Error(`not a rule: ${rule}`)
    return { id, regex: new RegExp(regex) }
  })
}

function scan (text: string, rules: Rule[]): string[] {
  return rules.filter(({ regex }) => regex.test(text)).map(({ id }) => id)
}

/** What is committed, and what could be by the next `git add`. */
function listFiles (): string[] {
  const names = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, maxBuffer: 1e8 }).toString()
  return names.split('\0').filter(name => name !== '' && existsSync(join(root, name)) && statSync(join(root, name)).isFile())
}

test('no file of the repository holds a secret', { skip: existsSync(join(root, '.git')) ? false : 'not a checkout' }, async t => {
  const rules = readRules()
  const files = listFiles()
  t.ok(files.includes('package.json') && files.includes('src/access-key/secret.ts'), 'files are found')
  const found = files.flatMap(name => scan(readFileSync(join(root, name), 'latin1'), rules).map(id => `${name}: ${id}`))
  t.same(found, [], 'put synthetic keys together at run time, as test/support/synthetic-keys.ts does')
})

test('each rule finds what it is for', async t => {
  const rules = readRules()
  const samples: Record<string, string> = {
    'izuma-access-key': `IZUMA_ACCESS_KEY=${makeKey()}`,
    'izuma-access-key-of-another-layout': `"key": "${makeShortKey()}"`,
    'izuma-access-key-encoded': Buffer.from(makeKey()).toString('base64'),
    'izuma-reference-token': `Bearer ${makeReferenceToken()}`,
    'izuma-proxy-member-token': `token: ${makeMemberToken()}`,
    'json-web-token': makeJwt(),
    'private-key': generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  }
  t.same(Object.keys(samples), rules.map(({ id }) => id), 'there is a sample for every rule')
  for (const [id, sample] of Object.entries(samples)) {
    t.ok(scan(`a line before\n${sample}\nand one behind`, rules).includes(id), id)
    t.ok(scan(JSON.stringify({ sample }), rules).includes(id), `${id}, in JSON`)
  }
  t.same(scan(makePublicPart(), rules), ['izuma-access-key-of-another-layout'])
  t.same(scan('ak_…, izp_…, rt_…, start_of_a_long_name_with_many_words_in_it, -----BEGIN PRIVATE KEY-----', rules), [])
})
