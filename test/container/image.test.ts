import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { makeKey } from '../support/synthetic-keys.ts'
import { missingTool } from '../support/tools.ts'
import { waitFor } from '../support/wait-for.ts'
import { runContained, type ContainedOptions } from './contained-process.ts'
import { buildImage } from './image.ts'

const skip = missingTool(['buildah', 'mmdebstrap', 'unshare'], 'buildah mmdebstrap') || (process.getuid?.() !== 0 && 'needs root, to mount')

t.setTimeout(900_000)
t.test('the image of the Dockerfile', { skip }, async t => {
  const image = await buildImage(t)
  const { root, config } = image
  t.comment(`${mebibytes(image.bytes)} MiB, of which ${mebibytes(image.baseBytes)} MiB are the base`)

  await t.test('is configured to run as nobody in particular, without a shell', async t => {
    t.equal(config.User, '65532:65532')
    t.same(config.Entrypoint, ['node', '--disable-sigusr1', '/app/dist/main.js'])
    t.same(config.Cmd, ['start'])
    t.same(Object.keys(config.Volumes), ['/var/lib/izuma-proxy'])
    t.equal(config.Healthcheck.Test[0], 'CMD')
    t.match(config.Labels, { 'org.opencontainers.image.version': '9.9.9', 'org.opencontainers.image.revision': 'abc', 'org.opencontainers.image.licenses': 'MIT' })
  })

  await t.test('holds what runs and nothing else', async t => {
    t.same(readdirSync(join(root, 'app')).sort(), ['LICENSE', 'dist', 'package.json', 'sbom.cdx.json'])
    for (const path of ['usr/local/bin/npm', 'usr/local/lib/node_modules', 'usr/local/etc/npmrc', 'etc/machine-authorities.pem', 'tmp/npm-cache']) {
      t.notOk(existsSync(join(root, path)) && !isEmptyPlaceholder(join(root, path)), path)
    }
    t.equal(statSync(join(root, 'app/dist/compile-cache')).uid, 0, 'what runs belongs to root')
    const own = image.bytes - image.baseBytes
    t.ok(own < 20 * 1024 * 1024, `${mebibytes(own)} MiB beside the base`)
  })

  await t.test('lists every package that went into it', async t => {
    const sbom = JSON.parse(readFileSync(join(root, 'app/sbom.cdx.json'), 'utf8')) as { bomFormat: string, components: Array<{ name: string, group?: string }> }
    t.equal(sbom.bomFormat, 'CycloneDX')
    const listed = new Set(sbom.components.map(({ group, name }) => group && !name.startsWith('@') ? `${group}/${name}` : name))
    for (const name of productionPackages()) t.ok(listed.has(name), name)
  })

  await t.test('can write to the trail and /tmp alone', async t => {
    const paths = ['/app/x', '/app/dist/x', '/x', '/etc/x', '/usr/local/bin/x', '/var/x', '/tmp/x', '/var/lib/izuma-proxy/x']
    const script = `const { writeFileSync } = require('fs'); console.log(process.getuid(), process.getgid()); for (const path of ${JSON.stringify(paths)}) { try { writeFileSync(path, ''); console.log('written', path) } catch ({ code }) { console.log(code, path) } }`
    const contained = runContained(image, ['node', '-e', script], mountsFor(t))
    t.equal(await contained.exited, 0)
    t.same(contained.output().trim().split('\n'), ['65532 65532', ...paths.slice(0, 6).map(path => `EROFS ${path}`), 'written /tmp/x', 'written /var/lib/izuma-proxy/x'])
  })

  await t.test('starts, is healthy once it has a key, and exits 0 on SIGTERM as PID 1', async t => {
    const { mounts, folder } = mountsFor(t)
    const healthPort = await findFreePort()
    const environment = { NODE_DEBUG_NATIVE: 'COMPILE_CACHE', PROXY_LISTEN: '127.0.0.1:0', PROXY_HEALTH_LISTEN: `127.0.0.1:${healthPort}`, IZUMA_API_HOST: 'https://127.0.0.1:9', IZUMA_ACCESS_KEY_FILE: '/run/secrets/izuma/key' }
    const options: ContainedOptions = { environment, mounts: { ...mounts, '/run/secrets/izuma': folder } }
    const contained = runContained(image, [...config.Entrypoint, ...config.Cmd], options)
    t.teardown(() => contained.process.kill('SIGKILL'))
    await waitFor('the proxy', contained.output, text => text.includes('"listening"'), 20_000)
    t.ok((contained.output().match(/V8 code cache for ESM .* was accepted/g) ?? []).length > 10, 'what was compiled in the build is used')
    t.notMatch(contained.output(), /was rejected/)
    const checkHealth = () => runContained(image, config.Healthcheck.Test.slice(1), options).exited
    t.equal(await checkHealth(), 1, 'not healthy without a key')

    writeFileSync(join(folder, 'key'), makeKey(), { mode: 0o400 })
    chownSync(join(folder, 'key'), 65532, 65532)
    await waitFor('health', checkHealth, code => code === 0, 20_000)

    const stoppedAt = Date.now()
    contained.kill('SIGTERM')
    t.equal(await contained.exited, 0)
    t.ok(Date.now() - stoppedAt < 5000, `stopped after ${Date.now() - stoppedAt} ms`)
    t.match(contained.output(), /"forced":false/)
  })
})

function mebibytes (bytes: number): number { return Math.round(bytes / 1024 ** 2) }

/** buildah leaves the empty file or folder that a volume of the build was mounted on. */
function isEmptyPlaceholder (path: string): boolean {
  try {
    return readdirSync(path).length === 0
  } catch {
    return readFileSync(path).length === 0
  }
}

/** By the lock file: what may be part of the program. Parts for other systems are not installed. */
function productionPackages (): string[] {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, { dev?: boolean, optional?: boolean, peer?: boolean }> }
  return Object.entries(packages).filter(([path, { dev, optional, peer }]) => path !== '' && !dev && !optional && !peer).map(([path]) => path.replace(/^.*node_modules\//, ''))
}

function mountsFor (t: { teardown (end: () => void): void }) {
  const folder = mkdtempSync(join(tmpdir(), 'contained-'))
  const trail = mkdtempSync(join(tmpdir(), 'contained-trail-'))
  t.teardown(() => { for (const path of [folder, trail]) rmSync(path, { recursive: true }) })
  chmodSync(folder, 0o755)
  chownSync(trail, 65532, 65532)
  return { folder, mounts: { '/var/lib/izuma-proxy': trail } }
}

async function findFreePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => { server.once('listening', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => { server.close(resolve) })
  return port
}
