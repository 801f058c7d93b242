import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Deployment } from 'kubernetes-models/apps/v1'
import { Job } from 'kubernetes-models/batch/v1'
import t from 'tap'
import ts from 'typescript'
import { parseAllDocuments } from 'yaml'
import { loadSettings } from '../../src/config/load.ts'

const folder = 'config/kubernetes'

interface Container {
  name: string
  image: string
  restartPolicy?: string
  env?: Array<{ name: string, value?: string }>
  ports?: Array<{ name: string, containerPort: number }>
  startupProbe?: Probe
  livenessProbe?: Probe
  readinessProbe?: Probe
  resources: { requests: Record<string, string>, limits: Record<string, string> }
  securityContext: object
  volumeMounts?: Array<{ name: string, mountPath: string }>
}
interface Probe { httpGet: { path: string, port: string } }
interface PodSpec { initContainers?: Container[], containers: Container[], volumes: Array<{ name: string, secret?: { secretName: string, defaultMode: number } }>, securityContext: object, automountServiceAccountToken: boolean, terminationGracePeriodSeconds?: number }
interface Manifest { apiVersion: string, kind: string, spec: { template: { spec: PodSpec } } }

/** As kubectl reads them: YAML 1.1, where 0400 is octal. */
function readManifests (name: string): Manifest[] {
  return parseAllDocuments(readFileSync(join(folder, name), 'utf8'), { version: '1.1' }).map(document => document.toJS() as Manifest)
}

const files = readdirSync(folder).filter(name => name !== 'kustomization.yaml')
const manifests = files.flatMap(readManifests)
const pods = manifests.map(({ spec }) => spec.template.spec)
const proxies = pods.map(pod => [...pod.initContainers ?? [], ...pod.containers].find(({ name }) => name === 'izuma-proxy') as Container)

t.test('Kubernetes\' own schema takes every manifest', async t => {
  const models = { Deployment, Job }
  for (const manifest of manifests) {
    const Model = models[manifest.kind as keyof typeof models]
    t.doesNotThrow(() => new Model(manifest as never).validate(), manifest.kind)
  }
  t.throws(() => new Job({ metadata: { name: 'x' }, spec: { template: { spec: { containers: [{}] } } } } as never).validate(), /name/, 'what is wrong would be found')
})

t.test('no manifest has a field that Kubernetes does not know', async t => {
  t.same(findUnknownFields(manifests), [])
  t.match(findUnknownFields([{ ...manifests[0], spec: { ...manifests[0]?.spec, replica: 1 } } as never])[0], /replica/, 'one would be found')
})

t.test('pods run without privileges, with a read-only root, and within limits', async t => {
  for (const pod of pods) {
    t.match(pod, { automountServiceAccountToken: false, securityContext: { runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532, seccompProfile: { type: 'RuntimeDefault' } } })
    for (const container of [...pod.initContainers ?? [], ...pod.containers]) {
      t.match(container.securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } })
      t.match(container.resources, { requests: { cpu: String, memory: String }, limits: { memory: String } })
      t.notMatch(container.resources.limits, { cpu: String })
    }
  }
})

t.test('the key comes as a file of a secret that only the user may read, and as nothing else', async t => {
  for (const [index, proxy] of proxies.entries()) {
    const volume = pods[index]?.volumes.find(({ secret }) => secret)
    t.match(volume?.secret, { secretName: 'izuma-access-key', defaultMode: 0o400 })
    const mount = proxy.volumeMounts?.find(({ name }) => name === volume?.name)
    t.equal(proxy.env?.find(({ name }) => name === 'IZUMA_ACCESS_KEY_FILE')?.value, `${mount?.mountPath}/access-key`)
    t.notOk(proxy.env?.some(({ name }) => name === 'IZUMA_ACCESS_KEY'))
  }
})

t.test('the settings are settings, and what is written to is mounted', async t => {
  for (const proxy of proxies) {
    const environment = Object.fromEntries((proxy.env ?? []).map(({ name, value }) => [name, value]))
    t.doesNotThrow(() => loadSettings({ flags: {}, environment, dotenv: {} }))
    const places = proxy.volumeMounts?.map(({ mountPath }) => mountPath) ?? []
    for (const place of ['/var/lib/izuma-proxy', '/tmp']) t.ok(places.includes(place), place)
  }
})

t.test('the sidecar is a native one, started before the app and probed on the health listener', async t => {
  const proxy = pods[files.indexOf('deployment.yaml')]?.initContainers?.[0]
  t.equal(proxy?.restartPolicy, 'Always')
  const port = proxy?.ports?.find(({ name }) => name === 'health')?.containerPort
  t.equal(proxy?.env?.find(({ name }) => name === 'PROXY_HEALTH_LISTEN')?.value, `0.0.0.0:${port}`)
  t.match(proxy?.startupProbe, { httpGet: { path: '/_proxy/readyz', port: 'health' } })
  t.match(proxy?.livenessProbe, { httpGet: { path: '/_proxy/livez', port: 'health' } })
  t.match(proxy?.readinessProbe, { httpGet: { path: '/_proxy/readyz', port: 'health' } })
  const { drainTimeout } = loadSettings({ flags: {}, environment: {}, dotenv: {} })
  t.ok((pods[files.indexOf('deployment.yaml')]?.terminationGracePeriodSeconds ?? 0) * 1000 > drainTimeout)
})

t.test('the kustomization names files, secret and image that there are', async t => {
  const [document] = parseAllDocuments(readFileSync(join(folder, 'kustomization.yaml'), 'utf8'))
  const kustomization = document?.toJS() as { apiVersion: string, kind: string, resources: string[], secretGenerator: Array<{ name: string, files: string[] }>, images: Array<{ name: string }> }
  t.match(kustomization, { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' })
  for (const file of kustomization.resources) t.ok(existsSync(join(folder, file)), file)
  t.match(kustomization.secretGenerator, [{ name: 'izuma-access-key', files: ['access-key'] }])
  for (const { image } of proxies) t.equal(image, kustomization.images[0]?.name)
  t.match(readFileSync('.gitignore', 'utf8'), /^access-key$/m, 'the key file beside it is never committed')
})

/** TypeScript refuses a field in a literal that its type doesn't have; the models' types are made from the schema. */
function findUnknownFields (candidates: Manifest[]): string[] {
  const cache = resolve('node_modules/.cache/izuma-proxy-tests')
  const file = join(cache, 'manifests.ts')
  mkdirSync(cache, { recursive: true })
  const lines = candidates.map((manifest, index) => `export const m${index}: I${manifest.kind} = ${JSON.stringify(manifest, null, 1)}`)
  writeFileSync(file, ["import type { IDeployment } from 'kubernetes-models/apps/v1'", "import type { IJob } from 'kubernetes-models/batch/v1'", ...lines, ''].join('\n'))
  try {
    const program = ts.createProgram([file], { strict: true, noEmit: true, skipLibCheck: true, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, types: [] })
    return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))
  } finally {
    rmSync(file)
  }
}
