import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

const root = join(import.meta.dirname, '../..')
const readJson = <T>(name: string) => JSON.parse(readFileSync(join(root, name), 'utf8')) as T

interface Requirement { minimum: string[], because: string }
interface Lock { packages: Record<string, { version?: string, name?: string, dev?: boolean, devDependencies?: Record<string, string> }> }

const { $comment: _, ...requirements } = readJson<Record<string, Requirement>>('.config/minimum-versions.json')

/**
 * Every copy, nested ones too, of every package in the table that is below its minimum: of what the product is made of, and
 * of the tools chosen here. (What those tools bring along, such as npm's own node-gyp in tap, never sees a key or a request.)
 */
function findOutdated ({ packages }: Lock): string[] {
  const chosen = new Set(Object.keys(packages['']?.devDependencies ?? {}).map(name => `node_modules/${name}`))
  return Object.entries(packages).flatMap(([path, { version = '', dev = false, name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length) }]) => {
    const requirement = requirements[name]
    if (requirement === undefined || isMended(version, requirement.minimum) || (dev && !chosen.has(path))) return []
    return `${path} is ${version}, needs ${requirement.minimum.join(' or ')}: ${requirement.because}`
  })
}

/** A pre-release of the very minimum comes before it. */
function isMended (version: string, minimums: string[]): boolean {
  const [major = 0] = parse(version)
  const ofMajor = minimums.find(minimum => parse(minimum)[0] === major)
  if (ofMajor === undefined) return minimums.every(minimum => (parse(minimum)[0] ?? 0) < major)
  return compare(version, ofMajor) > 0 || version.split('+')[0] === ofMajor
}

function parse (version: string): number[] {
  return (version.split(/[-+]/)[0] ?? '').split('.').map(Number)
}

function compare (left: string, right: string): number {
  const [a, b] = [parse(left), parse(right)]
  const differing = a.findIndex((part, index) => part !== b[index])
  return differing === -1 ? 0 : (a[differing] ?? 0) - (b[differing] ?? 0)
}

test('no installed package is older than the version that mended its known holes', async t => {
  const lock = readJson<Lock>('package-lock.json')
  for (const name of ['fastify', '@fastify/http-proxy', '@fastify/reply-from', 'undici', 'ws', 'node']) t.ok(lock.packages[`node_modules/${name}`], `${name} is in the lock file`)
  t.same(findOutdated(lock), [])
})

test('no Node.js with known holes is allowed, or runs', async t => {
  const { engines: { node } } = readJson<{ engines: { node: string } }>('package.json')
  const oldest = /^>=(\d+\.\d+\.\d+)$/.exec(node)?.[1] ?? ''
  const { minimum } = requirements['node'] as Requirement
  t.ok(isMended(oldest, minimum), `engines: ${node}`)
  t.ok(isMended(process.versions.node, minimum), `running: ${process.versions.node}`)
})

test('the comparison refuses what it should', async t => {
  const cases: [version: string, minimums: string[], expected: boolean][] = [
    ['5.8.5', ['5.8.5'], true], ['5.8.4', ['5.8.5'], false], ['5.10.0', ['5.8.5'], true], ['6.0.0', ['5.8.5'], true], ['4.99.9', ['5.8.5'], false], ['5.8.5-rc.1', ['5.8.5'], false], ['5.8.6-rc.1', ['5.8.5'], true],
    ['7.28.0', ['7.28.0', '8.5.0'], true], ['8.4.9', ['7.28.0', '8.5.0'], false], ['6.24.0', ['7.28.0', '8.5.0'], false], ['9.0.0', ['7.28.0', '8.5.0'], true], ['23.11.0', ['22.23.0', '24.17.0'], false], ['', ['1.0.0'], false]
  ]
  for (const [version, minimums, expected] of cases) t.equal(isMended(version, minimums), expected, `${version} against ${minimums.join(' or ')}`)
  const nested = {
    packages: {
      '': { devDependencies: { 'http-proxy-middleware': '*' } },
      'node_modules/a/node_modules/undici': { version: '7.27.0' },
      'node_modules/alias': { name: 'ws', version: '8.20.0' },
      'node_modules/fastify': { version: '5.12.8' },
      'node_modules/http-proxy-middleware': { version: '3.0.5', dev: true },
      'node_modules/tool/node_modules/undici': { version: '6.0.0', dev: true }
    }
  }
  t.match(findOutdated(nested), [/^node_modules\/a\/node_modules\/undici is 7\.27\.0, needs 7\.28\.0 or 8\.5\.0/, /^node_modules\/alias is 8\.20\.0/, /^node_modules\/http-proxy-middleware is 3\.0\.5/])
  t.equal(findOutdated(nested).length, 3)
})
