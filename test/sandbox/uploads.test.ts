import { createHash } from 'node:crypto'
import { test } from 'tap'
import { setUpSandbox } from '../support/sandbox-client.ts'
import { waitFor } from '../support/wait-for.ts'

const boundary = 'sandboxTest'
const multipart = { 'Content-Type': `multipart/form-data; boundary=${boundary}` }

function form (fields: Record<string, string | Buffer>): Buffer {
  const parts = Object.entries(fields).flatMap(([name, value]) => [
    Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"${Buffer.isBuffer(value) ? '; filename="f.bin"' : ''}\r\n\r\n`), Buffer.from(value), Buffer.from('\r\n')
  ])
  return Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)])
}

const md5 = (body: Buffer): string => createHash('md5').update(body).digest('base64')
const sha256 = (...bodies: Buffer[]): string => createHash('sha256').update(Buffer.concat(bodies)).digest('hex')

test('takes a firmware image and knows its digest', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const image = Buffer.alloc(300_000, 'firmware')
  const made = await ask('/v3/firmware-images', { method: 'POST', headers: multipart, body: form({ name: 'v2', description: 'd', datafile: image }) })
  t.match(made, { status: 201, json: { object: 'firmware-image', name: 'v2', description: 'd', datafile_size: image.length, datafile_checksum: sha256(image) } })
  t.equal(made.headers.location, `${sandbox.origin}/v3/firmware-images/${made.json.id}`)
  t.notOk(String(made.json.datafile).startsWith(sandbox.origin), 'the file lies at another host')
  t.equal((await ask('/v3/firmware-images')).json.data.length, 1)
  t.equal((await ask(`/v3/firmware-images/${made.json.id}`, { method: 'DELETE' })).status, 204)
})

test('refuses an image that is too large, or malformed', async t => {
  const { ask } = await setUpSandbox(t, { maxFirmwareBytes: 1000 })
  const large = form({ datafile: Buffer.alloc(200_000) })
  t.match(await ask('/v3/firmware-images', { method: 'POST', headers: multipart, body: large }), { status: 413, json: { code: 413 } })
  t.match(await ask('/v3/firmware-images', { method: 'POST', headers: { ...multipart, 'Transfer-Encoding': 'chunked', 'Content-Length': [] }, body: large }), { status: 413 }, 'without a Content-Length too')
  t.match(await ask('/v3/firmware-images', { method: 'POST', headers: multipart, body: 'nonsense' }), { status: 400 })
  t.match(await ask('/v3/firmware-images', { method: 'POST', headers: multipart, body: form({ name: 'x' }) }), { status: 400, json: { fields: [{ name: 'datafile' }] } })
})

test('puts an image together from chunks', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { minChunkBytes: 1000 })
  const { json: job, headers } = await ask('/v3/firmware-images/upload-jobs', { method: 'POST', body: '{"name":"big"}' })
  t.match(job, { object: 'upload-job', complete: false, status: 'in_progress' })
  t.equal(headers.location, `${sandbox.origin}/v3/firmware-images/upload-jobs/${job.id}`)
  const path = `/v3/firmware-images/upload-jobs/${job.id}`
  const send = async (body: Buffer, digest = md5(body)) => await ask(`${path}/chunks`, { method: 'POST', headers: { 'Content-Type': 'binary/octet-stream', 'Content-MD5': digest }, body })
  const chunks = [Buffer.alloc(1500, 1), Buffer.alloc(700, 2)]
  for (const [index, chunk] of chunks.entries()) {
    const answer = await send(chunk)
    t.match(answer, { status: 201, json: { object: 'upload-info', id: String(index + 1), length: chunk.length, hash: sha256(chunk) } })
    t.equal(answer.headers.location, `${sandbox.origin}${path}/chunks/${index + 1}`)
    t.equal(answer.headers['content-location'], answer.headers.location)
  }
  t.match(await send(Buffer.alloc(1200)), { status: 400 }, 'after a small one nothing but the end may come')
  t.equal((await send(Buffer.alloc(0))).status, 201)
  const { json: done } = await ask(path)
  t.match(done, { complete: true, status: 'success' })
  t.match((await ask(`/v3/firmware-images/${done.firmware_image_id}`)).json, { name: 'big', datafile_size: 2200, datafile_checksum: sha256(...chunks) })
  t.match(await send(Buffer.from('more')), { status: 400 })
  t.equal((await ask(`${path}/chunks`)).json.data.length, 3)
  t.equal((await ask(`${path}/chunks/2`)).json.length, 700)
  t.equal((await ask(`${path}/chunks/9`)).status, 404)
})

test('insists on the digest and the length of a chunk', async t => {
  const { ask } = await setUpSandbox(t)
  const { json: job } = await ask('/v3/firmware-images/upload-jobs', { method: 'POST', body: '{}' })
  const path = `/v3/firmware-images/upload-jobs/${job.id}/chunks`
  const body = Buffer.from('chunk')
  t.match(await ask(path, { method: 'POST', body }), { status: 400, json: { fields: [{ name: 'Content-MD5' }] } })
  t.match(await ask(path, { method: 'POST', headers: { 'Content-MD5': md5(Buffer.from('else')) }, body }), { status: 400, json: { fields: [{ name: 'Content-MD5', message: /match/ }] } })
  t.match(await ask(path, { method: 'POST', headers: { 'Content-MD5': md5(body), 'Transfer-Encoding': 'chunked', 'Content-Length': [] }, body }), { status: 400, json: { fields: [{ name: 'Content-Length' }] } })
  t.equal((await ask('/v3/firmware-images/upload-jobs/none/chunks', { method: 'POST', body })).status, 404)
})

test('enrols devices from a CSV, and reports at absolute URLs of its own', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { deviceReplyMs: 1 })
  const identity = (octet: string): string => `A-${Array.from({ length: 32 }, () => octet).join(':')}`
  const csv = ['enrollment_identity', `"${identity('0a')}"`, identity('0b'), 'rubbish', ''].join('\n')
  const made = await ask('/v3/device-enrollments-bulk-uploads', { method: 'POST', headers: multipart, body: form({ enrollment_identities: Buffer.from(csv) }) })
  t.match(made, { status: 201, json: { status: 'new', total_count: 3, full_report_file: null } })
  const done = await waitFor('the upload', async () => (await ask(`/v3/device-enrollments-bulk-uploads/${made.json.id}`)).json, json => json.status === 'completed')
  t.match(done, { processed_count: 3, errors_count: 1 })
  t.ok(done.full_report_file.startsWith(`${sandbox.origin}/v3/`))
  t.equal((await ask(new URL(done.errors_report_file).pathname)).text, 'enrollment_identity,status\nrubbish,failed\n')
  t.match(await ask(new URL(done.full_report_file).pathname), { headers: { 'content-type': 'text/csv' }, text: /0a:0a,success\n.*0b:0b,success\nrubbish,failed\n/ })
  t.equal((await ask('/v3/device-enrollments')).json.data.length, 2)
  t.match(await ask('/v3/device-enrollments', { method: 'POST', body: JSON.stringify({ enrollment_identity: identity('0a') }) }), { status: 409 })
  const one = await ask('/v3/device-enrollments', { method: 'POST', body: JSON.stringify({ enrollment_identity: identity('0c') }) })
  t.equal(one.status, 201)
  t.equal((await ask(`/v3/device-enrollments/${one.json.id}`, { method: 'DELETE' })).status, 204)
  t.match(await ask('/v3/device-enrollments', { method: 'POST', body: '{"enrollment_identity":"x"}' }), { status: 400 })
})

test('serves the large download at the URL it names', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const { json: info } = await ask('/downloads/fcu/info')
  t.ok(info.download_url.startsWith(sandbox.origin))
  const answer = await ask(new URL(info.download_url).pathname)
  t.equal(answer.headers['content-length'], String(info.download_size_bytes))
  t.match(await ask(new URL(info.release_notes_url).pathname), { status: 200, headers: { 'content-type': /^text\/markdown/ } })
})

test('runs an update campaign through its phases', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const { json: { data: [manifest] } } = await ask('/v3/firmware-manifests')
  const made = await ask('/v3/update-campaigns', { method: 'POST', body: JSON.stringify({ name: 'c', device_filter: 'state=registered', root_manifest_id: manifest.id }) })
  t.match(made, { status: 201, json: { phase: 'draft', root_manifest_url: `${sandbox.origin}/v3/firmware-manifests/${manifest.id}` } })
  const path = `/v3/update-campaigns/${made.json.id}`
  t.match(await ask(`${path}/stop`, { method: 'POST' }), { status: 409 })
  t.equal((await ask(`${path}/start`, { method: 'POST' })).status, 202)
  t.equal((await ask(path)).json.phase, 'active')
  t.equal((await ask(`${path}/stop`, { method: 'POST' })).status, 202)
  t.equal((await ask(`${path}/archive`, { method: 'POST' })).status, 204)
  t.equal((await ask('/v3/device-queries')).json.data.length, 1)
})
