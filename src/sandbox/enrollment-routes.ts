import { errors, noContent, ok } from './answer.ts'
import type { Answer } from './answer.ts'
import { Collection, collectionRoutes } from './collection.ts'
import type { Entity } from './collection.ts'
import type { Exchange } from './exchange.ts'
import { readMultipart } from './multipart.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

const identity = /^A-[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){31}$/
const maxCsvBytes = 10_000_000
const csvType = { 'Content-Type': 'text/csv' }

/** Enrolment of devices, one by one and by CSV; the reports of the latter are absolute URLs of the API itself. */
export function enrollmentRoutes (world: World): Route[] {
  const { ids, accountId, timers, options } = world
  const enrollments = new Collection('enrollment', ids, accountId)
  const uploads = new Collection('enrollment-identity-bulk-uploads', ids, accountId)
  const reports = new Map<string, { full: string, errors: string }>()
  const path = '/v3/device-enrollments-bulk-uploads'

  async function enroll (exchange: Exchange): Promise<Answer> {
    const { enrollment_identity: claimed } = await exchange.json()
    if (typeof claimed !== 'string' || !identity.test(claimed)) throw errors.validation({ name: 'enrollment_identity', message: 'Expected A- and 32 octets in hex, with colons.' })
    if (isClaimed(claimed)) throw errors.duplicate('Conflict. The enrollment identity already exists.')
    return { status: 201, json: add(claimed) }
  }

  const isClaimed = (claimed: string): boolean => enrollments.all().some(item => item['enrollment_identity'] === claimed)
  const add = (claimed: string): Entity => enrollments.create({ enrollment_identity: claimed, enrolled_device_id: '', claimed_at: null, expires_at: '2035-01-01T00:00:00Z' })

  async function upload (exchange: Exchange): Promise<Answer> {
    const parts = readMultipart(exchange.header('content-type'), await exchange.body())
    const csv = parts?.find(part => part.name === 'enrollment_identities')
    if (csv === undefined) throw errors.validation({ name: 'enrollment_identities', message: 'Parameter missing.' })
    const lines = csv.body.toString().split(/\r?\n/).slice(1).map(line => line.trim().replaceAll('"', '')).filter(line => line !== '')
    const job = uploads.create({ status: 'new', total_count: lines.length, processed_count: 0, errors_count: 0, completed_at: null, full_report_file: null, errors_report_file: null })
    const answer = { ...job }
    timers.after(options.deviceReplyMs, () => process(job, lines))
    return { status: 201, json: answer, headers: { Location: `${world.origin}${path}/${job.id}` } }
  }

  function process (job: Entity, lines: string[]): void {
    const bad = lines.filter(line => !identity.test(line) || isClaimed(line))
    for (const line of new Set(lines)) if (!bad.includes(line)) add(line)
    reports.set(job.id, { full: report(lines, bad), errors: report(bad, bad) })
    const url = `${world.origin}${path}/${job.id}`
    uploads.update(job.id, {
      status: 'completed',
      processed_count: lines.length,
      errors_count: bad.length,
      completed_at: ids.now(),
      full_report_file: `${url}/full_report.csv`,
      errors_report_file: `${url}/errors_report.csv`
    })
  }

  function download (exchange: Exchange, which: 'full' | 'errors'): Answer {
    const found = reports.get(exchange.param('id'))
    if (found === undefined) throw errors.notFound('Report not found.')
    return { status: 200, text: found[which], headers: csvType }
  }

  function remove (exchange: Exchange): Answer {
    enrollments.delete(exchange.param('id'))
    return noContent()
  }

  const origin = (): string => world.origin
  return [
    ...collectionRoutes({ collection: enrollments, path: '/v3/device-enrollments', origin }),
    { method: 'POST', path: '/v3/device-enrollments', handle: enroll },
    { method: 'DELETE', path: '/v3/device-enrollments/{id}', handle: remove },
    { method: 'POST', path, handle: upload, maxBodyBytes: maxCsvBytes },
    { method: 'GET', path: `${path}/{id}`, handle: exchange => ok(uploads.find(exchange.param('id'))) },
    { method: 'GET', path: `${path}/{id}/full_report.csv`, handle: exchange => download(exchange, 'full') },
    { method: 'GET', path: `${path}/{id}/errors_report.csv`, handle: exchange => download(exchange, 'errors') }
  ]
}

function report (lines: string[], bad: string[]): string {
  return ['enrollment_identity,status', ...lines.map(line => `${line},${bad.includes(line) ? 'failed' : 'success'}`), ''].join('\n')
}
