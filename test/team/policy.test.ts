import { test, type Test } from 'tap'
import { compilePolicy, parseDevice, type PolicySource } from '../../src/team/policy.ts'

const plain: PolicySource = { role: 'member', mode: 'enforce', presets: [], allow: [], deny: [], devices: [] }

type Case = [request: string, decision: string]

function judge (t: Test, source: Partial<PolicySource>, cases: Case[]): void {
  const policy = compilePolicy({ ...plain, ...source })
  for (const [request, decision] of cases) {
    const [method = '', path = ''] = request.split(' ')
    const judged = policy.judge(method, path)
    t.equal(judged.decision, decision, request)
    t.equal(judged.allowed, !decision.startsWith('deny'), `${request} is ${judged.allowed ? 'let through' : 'refused'}`)
  }
}

test('without rules everything is allowed but remote shell and key management', async t => {
  judge(t, {}, [
    ['GET /v3/devices', 'allow'],
    ['GET /v3/devices/', 'allow'],
    ['GET /v3/accounts/me', 'allow'],
    ['POST /v2/device-requests/1', 'allow'],
    ['DELETE /v3/devices/1', 'allow'],
    ['POST /v3/firmware-images', 'allow'],
    ['GET /v2/notification/websocket-connect', 'allow'],
    ['GET /something/new', 'allow'],
    ['GET /v3/devices/1/console', 'deny no-remote-shell'],
    ['GET /v3/devices/1/console/', 'deny no-remote-shell'],
    ['GET /v3alpha/devices/1/console', 'deny no-remote-shell'],
    ['GET /V3/Devices/1/CONSOLE', 'deny no-remote-shell'],
    ['GET /v3preview1/devices/1/services/127.0.0.1:22/connection', 'deny no-remote-shell'],
    ['GET /v3/devices/1/services/x/connection', 'deny no-remote-shell'],
    ['POST /v3/api-keys', 'deny no-key-management'],
    ['GET /v3/api-keys', 'deny no-key-management'],
    ['GET /v3/api-keys/me', 'deny no-key-management'],
    ['POST /v3/api-keys/1/reset-secret', 'deny no-key-management'],
    ['POST /v3/accounts/1/api-keys/2/reset-secret', 'deny no-key-management'],
    ['GET /v3/access-keys', 'deny no-key-management'],
    ['POST /v3/applications/1/access-keys', 'deny no-key-management'],
    ['POST /v3/accounts/1/applications/2/access-keys', 'deny no-key-management'],
    ['GET /v3/users', 'deny no-key-management'],
    ['POST /v3/accounts', 'deny no-key-management'],
    ['PUT /v3/accounts/me', 'deny no-key-management'],
    ['GET /v3/identity-providers/1', 'deny no-key-management'],
    ['GET /v3/developer-certificates/1', 'deny no-key-management'],
    ['POST /v2/device-shared-keys', 'deny no-key-management'],
    ['POST /ace-auth/token', 'deny no-key-management'],
    ['GET /v3/trusted-certificates', 'allow'],
    ['POST /v3/trusted-certificates', 'deny no-key-management']
  ])
})

test('a rule of allow that names such an endpoint lifts the default there and only there; a broad one does not', async t => {
  judge(t, { allow: ['/**', 'GET /v3/devices/*/console', 'POST /v3/api-keys'] }, [
    ['GET /v3/devices/1/console', 'allow'],
    ['GET /v3/devices/1/services/x/connection', 'deny no-remote-shell'],
    ['GET /v3alpha/devices/1/console', 'deny no-remote-shell'],
    ['POST /v3/api-keys', 'allow'],
    ['GET /v3/api-keys', 'deny no-key-management'],
    ['POST /v3/api-keys/1/reset-secret', 'deny no-key-management'],
    ['GET /v3/devices', 'allow']
  ])
  judge(t, { allow: ['/v3/**', 'GET /v3/devices/**'] }, [['GET /v3/devices/1/console', 'deny no-remote-shell'], ['POST /v3/api-keys', 'deny no-key-management']])
})

test('with rules of allow nothing else is allowed', async t => {
  judge(t, { allow: ['GET /v3/devices/**', 'POST /v2/device-requests/*'] }, [
    ['GET /v3/devices/1', 'allow'],
    ['HEAD /v3/devices/1', 'allow'],
    ['PUT /v3/devices/1', 'deny no rule of "allow"'],
    ['GET /v3/accounts/me', 'deny no rule of "allow"'],
    ['GET /V3/devices/1', 'deny no rule of "allow"'],
    ['POST /v2/device-requests/1', 'allow']
  ])
})

test('deny comes before allow, in any case of the path', async t => {
  judge(t, { allow: ['/**', 'POST /v3/api-keys'], deny: ['DELETE /v3/devices/*', '/v3/api-keys/**'] }, [
    ['DELETE /v3/devices/1', 'deny DELETE /v3/devices/*'],
    ['DELETE /V3/DEVICES/1', 'deny DELETE /v3/devices/*'],
    ['DELETE /v3/devices/1/', 'deny DELETE /v3/devices/*'],
    ['GET /v3/devices/1', 'allow'],
    ['POST /v3/api-keys', 'deny /v3/api-keys/**']
  ])
})

test('presets add up', async t => {
  judge(t, { presets: ['read-only'] }, [
    ['GET /v3/devices', 'allow'],
    ['HEAD /v3/devices', 'allow'],
    ['OPTIONS /v3/devices', 'allow'],
    ['POST /v2/device-requests/1', 'deny read-only'],
    ['PUT /v3/devices/1', 'deny read-only'],
    ['PATCH /v3/devices/1', 'deny read-only'],
    ['DELETE /v3/devices/1', 'deny read-only'],
    ['GET /v3/devices/1/console', 'deny no-remote-shell'],
    ['GET /v3/api-keys', 'deny no-key-management']
  ])
  judge(t, { presets: ['no-delete'] }, [
    ['DELETE /v3/devices/1', 'deny no-delete'],
    ['POST /v3/device-enrollments-bulk-deletes', 'deny no-delete'],
    ['POST /v3/devices', 'allow']
  ])
  judge(t, { presets: ['no-delete', 'read-only', 'no-remote-shell'] }, [['DELETE /v3/devices/1', 'deny no-delete'], ['PUT /v3/devices/1', 'deny read-only'], ['GET /v3/devices/1/console', 'deny no-remote-shell']])
  judge(t, { presets: ['read-only'], allow: ['/**', 'GET /v3/devices/*/console', 'POST /v3/api-keys'] }, [['GET /v3/devices/1/console', 'allow'], ['POST /v3/api-keys', 'deny read-only']])
})

test('report mode lets through and notes; the default presets stay in force', async t => {
  judge(t, { mode: 'report', presets: ['read-only'], allow: ['GET /v3/devices/**'], deny: ['GET /v3/devices/7'], devices: ['1', '7'] }, [
    ['GET /v3/devices/1', 'allow'],
    ['GET /v3/devices/7', 'would-deny GET /v3/devices/7'],
    ['DELETE /v3/devices/1', 'would-deny read-only'],
    ['GET /v3/accounts/me', 'would-deny no rule of "allow"'],
    ['GET /v3/devices/2', 'would-deny devices'],
    ['GET /v3/devices/1/console', 'deny no-remote-shell'],
    ['GET /v3/api-keys', 'deny no-key-management']
  ])
})

test('devices narrow what names a device in its path, and events', async t => {
  const devices = ['0161a', '0161b*']
  judge(t, { devices }, [
    ['GET /v3/devices/0161a', 'allow'],
    ['GET /v3/devices/0161a/logs', 'allow'],
    ['GET /v3/devices/0161bcd', 'allow'],
    ['GET /v3/devices/0161c', 'deny devices'],
    ['GET /V3/DEVICES/0161c', 'deny devices'],
    ['GET /v3preview1/devices/0161c/', 'deny devices'],
    ['GET /v4/devices/0161c', 'deny devices'],
    ['GET /v3/devices/0161a.json', 'deny devices'],
    ['POST /v2/device-requests/0161c', 'deny devices'],
    ['GET /v2/endpoints/0161c/3/0/1', 'deny devices'],
    ['PUT /v2/subscriptions/0161c/3/0/1', 'deny devices'],
    ['GET /v3/devices', 'allow'],
    ['GET /v3/devices/', 'allow'],
    ['GET /v3/device-groups/1', 'allow']
  ])
  const policy = compilePolicy({ ...plain, devices })
  t.equal(policy.maySeeDevice('0161a'), true)
  t.equal(policy.maySeeDevice('0161bxyz'), true)
  t.equal(policy.maySeeDevice('0161ab'), false)
  t.equal(compilePolicy(plain).maySeeDevice('anything'), true)
  t.same([policy.seesAllDevices, compilePolicy(plain).seesAllDevices], [false, true])
  for (const wrong of ['', 'a/b', 'a*b*', '..', 'a b']) t.throws(() => parseDevice(wrong), wrong)
})

test('the proxy\'s own paths: members see what is theirs, admins all', async t => {
  const own: Array<[request: string, member: string, admin: string]> = [
    ['GET /_proxy/status', 'allow', 'allow'],
    ['GET /_proxy/members', 'allow', 'allow'],
    ['GET /_proxy/trail', 'allow', 'allow'],
    ['GET /_proxy/trail/1/bundle', 'allow', 'allow'],
    ['GET /_proxy/notifications', 'allow', 'allow'],
    ['GET /_proxy/session', 'allow', 'allow'],
    ['DELETE /_proxy/session', 'allow', 'allow'],
    ['GET /_proxy/metrics', 'deny admins only', 'allow'],
    ['POST /_proxy/quit', 'deny admins only', 'allow'],
    ['GET /_proxy/unheard-of', 'deny admins only', 'allow'],
    ['GET /_proxyfoo', 'allow', 'allow']
  ]
  judge(t, {}, own.map(([request, member]) => [request, member]))
  judge(t, { role: 'admin' }, own.map(([request, , admin]) => [request, admin]))
  judge(t, { allow: ['GET /v3/**'], presets: ['read-only'] }, [['GET /_proxy/trail', 'allow'], ['DELETE /_proxy/session', 'allow']])
  judge(t, { allow: ['GET /v3/**', 'GET /_proxy/metrics'] }, [['GET /_proxy/metrics', 'allow']])
  judge(t, { role: 'admin', deny: ['/_proxy/trail/**'] }, [['GET /_proxy/trail', 'deny /_proxy/trail/**']])
})

test('whole lists are judged as the list itself', async t => {
  judge(t, { allow: ['GET /v3/devices/**'], deny: ['/v3/devices/secret'] }, [
    ['GET /_proxy/pages/v3/devices', 'allow'],
    ['GET /_proxy/pages/v3/devices/', 'allow'],
    ['GET /_proxy/pages/v3/users', 'deny no-key-management'],
    ['GET /_proxy/pages/v3/accounts', 'deny no rule of "allow"'],
    ['GET /_proxy/pages/v3/devices/secret', 'deny /v3/devices/secret'],
    ['POST /_proxy/pages/v3/devices', 'deny no rule of "allow"']
  ])
})

test('judging makes nothing new: the same rule gives the same decision object', async t => {
  const policy = compilePolicy({ ...plain, deny: ['/a'] })
  t.equal(policy.judge('GET', '/a'), policy.judge('POST', '/a'))
  t.equal(policy.judge('GET', '/b'), policy.judge('GET', '/c'))
})
