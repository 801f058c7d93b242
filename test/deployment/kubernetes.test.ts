import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse } from 'dotenv'
import { Deployment } from 'kubernetes-models/apps/v1'
import { Job } from 'kubernetes-models/batch/v1'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { Service } from 'kubernetes-models/v1'
import t from 'tap'
import ts from 'typescript'
import { parseAllDocuments } from 'yaml'
import { loadSettings } from '../../src/config/load.ts'

const folder = 'config/kubernetes'

interface Container {
  name: string
  image: string
  workingDir?: string
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
interface Manifest { apiVersion: string, kind: string, spec: { template?: { metadata?: { labels: object }, spec: PodSpec } } }

/** As kubectl reads them: YAML 1.1, where 0400 is octal. */
function readManifests (name: string): Manifest[] {
  return parseAllDocuments(readFileSync(join(folder, name), 'utf8'), { version: '1.1' }).map(document => document.toJS() as Manifest)
}

const files = readdirSync(folder, { recursive: true }).map(String).filter(name => name.endsWith('.yaml') && !name.endsWith('kustomization.yaml'))
const manifests = files.flatMap(readManifests)
const podOf = (name: string) => readManifests(name)[0]?.spec.template?.spec
const pods = manifests.flatMap(({ spec }) => spec.template?.spec ?? [])
const proxies = pods.map(pod => [...pod.initContainers ?? [], ...pod.containers].find(({ name }) => name === 'izuma-proxy') as Container)

t.test('Kubernetes\' own schema takes every manifest', async t => {
  const models = { Deployment, Job, PodDisruptionBudget, Service }
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
    for (const { secret } of pods[index]?.volumes ?? []) if (secret) t.equal(secret.defaultMode, 0o400)
    const volume = pods[index]?.volumes.find(({ secret }) => secret?.secretName === 'izuma-access-key')
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
  const proxy = podOf('deployment.yaml')?.initContainers?.[0]
  t.equal(proxy?.restartPolicy, 'Always')
  const port = proxy?.ports?.find(({ name }) => name === 'health')?.containerPort
  t.equal(proxy?.env?.find(({ name }) => name === 'PROXY_HEALTH_LISTEN')?.value, `0.0.0.0:${port}`)
  t.match(proxy?.startupProbe, { httpGet: { path: '/_proxy/readyz', port: 'health' } })
  t.match(proxy?.livenessProbe, { httpGet: { path: '/_proxy/livez', port: 'health' } })
  t.match(proxy?.readinessProbe, { httpGet: { path: '/_proxy/readyz', port: 'health' } })
  const { drainTimeout } = loadSettings({ flags: {}, environment: {}, dotenv: {} })
  t.ok((podOf('deployment.yaml')?.terminationGracePeriodSeconds ?? 0) * 1000 > drainTimeout)
})

t.test('the fleet: three instances behind a service, one of which may be away, with addresses from a file of a secret', async t => {
  const [deployment, service, budget] = readManifests(join('fleet', 'fleet.yaml'))
  const labels = deployment?.spec.template?.metadata?.labels
  t.match(deployment, { kind: 'Deployment', spec: { replicas: 3, selector: { matchLabels: labels } } })
  t.match(budget, { kind: 'PodDisruptionBudget', spec: { maxUnavailable: 1, selector: { matchLabels: labels } } })
  const pod = podOf(join('fleet', 'fleet.yaml'))
  const [proxy] = pod?.containers ?? []
  t.match(service, { kind: 'Service', spec: { selector: labels, ports: [{ targetPort: proxy?.ports?.[0]?.name }] } })
  t.match(proxy, { startupProbe: { httpGet: { path: '/_proxy/readyz', port: 'health' } }, livenessProbe: { httpGet: { path: '/_proxy/livez', port: 'health' } }, readinessProbe: { httpGet: { path: '/_proxy/readyz', port: 'health' } } })
  const environment = Object.fromEntries((proxy?.env ?? []).map(({ name, value }) => [name, value]))
  t.notOk(environment['PROXY_REDIS_URL'])
  const secret = pod?.volumes.find(({ name }) => name === proxy?.volumeMounts?.find(({ mountPath }) => mountPath === proxy.workingDir)?.name)?.secret
  t.match(readKustomization('fleet').secretGenerator.find(({ name }) => name === secret?.secretName), { files: ['.env=fleet.env'] }, 'the proxy reads .env where it starts')
  const [, redis = '', trail = ''] = /(PROXY_REDIS_URL=\S+)\n#\s+(PROXY_TRAIL=\S+)/.exec(readFileSync(join(folder, 'fleet', 'kustomization.yaml'), 'utf8')) ?? []
  const settings = loadSettings({ flags: {}, environment, dotenv: parse(`${redis}\n${trail}`) })
  t.match(settings, { redisUrl: { tls: true }, trail: { kind: 'postgres' }, allowedHosts: Array })
})

t.test('the kustomizations name files, secrets and image that there are', async t => {
  for (const [place, file] of [['.', 'deployment.yaml'], ['fleet', 'fleet.yaml']] as const) {
    const kustomization = readKustomization(place)
    t.match(kustomization, { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', resources: [file] })
    t.ok(existsSync(join(folder, place, file)), file)
    const secrets = podOf(join(place, file))?.volumes.flatMap(({ secret }) => secret?.secretName ?? [])
    t.same(kustomization.secretGenerator.map(({ name }) => name).sort(), secrets?.sort())
    for (const { image } of proxies) t.equal(image, kustomization.images[0]?.name)
    for (const secret of kustomization.secretGenerator.flatMap(({ files }) => files)) t.ok(ignored.includes(secret.split('=').at(-1) as string), `${secret} beside it is never committed`)
  }
})

const ignored = readFileSync('.gitignore', 'utf8').split('\n')

function readKustomization (place: string): { resources: string[], secretGenerator: Array<{ name: string, files: string[] }>, images: Array<{ name: string }> } {
  const [document] = parseAllDocuments(readFileSync(join(folder, place, 'kustomization.yaml'), 'utf8'))
  return document?.toJS() as ReturnType<typeof readKustomization>
}

/** TypeScript refuses a field in a literal that its type doesn't have; the models' types are made from the schema. */
function findUnknownFields (candidates: Manifest[]): string[] {
  const cache = resolve('node_modules/.cache/izuma-proxy-tests')
  const file = join(cache, 'manifests.ts')
  mkdirSync(cache, { recursive: true })
  const lines = candidates.map((manifest, index) => `export const m${index}: I${manifest.kind} = ${JSON.stringify(manifest, null, 1)}`)
  writeFileSync(file, ["import type { IDeployment } from 'kubernetes-models/apps/v1'", "import type { IJob } from 'kubernetes-models/batch/v1'", "import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1'", "import type { IService } from 'kubernetes-models/v1'", ...lines, ''].join('\n'))
  try {
    const program = ts.createProgram([file], { strict: true, noEmit: true, skipLibCheck: true, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, types: [] })
    return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))
  } finally {
    rmSync(file)
  }
}
