import { createHash } from 'node:crypto'
import { errors, noContent, ok } from './answer.ts'
import type { Answer } from './answer.ts'
import { Collection, collectionRoutes } from './collection.ts'
import type { Entity } from './collection.ts'
import type { Exchange } from './exchange.ts'
import { readMultipart } from './multipart.ts'
import { pageOf, readListQuery } from './pagination.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

const maxChunkBytes = 100_000_000
/** The API keeps images with a storage provider: another host, where the key has no business. */
const storage = 'https://firmware.example.com'

interface Chunk { id: string, object: 'upload-info', upload_job_id: string, length: number, hash: string, etag: string, created_at: string, updated_at: string }

/** Firmware images, in one piece or in chunks. */
export function firmwareRoutes (world: World): Route[] {
  const { ids, accountId, options } = world
  const images = new Collection('firmware-image', ids, accountId)
  const jobs = new Collection('upload-job', ids, accountId)
  const chunks = new Map<string, Chunk[]>()
  const digests = new Map<string, ReturnType<typeof createHash>>()
  const origin = (): string => world.origin

  function addImage (fields: { name: string, description: string, size: number, checksum: string }): Entity {
    const image = images.create({ name: fields.name, description: fields.description, datafile_size: fields.size, datafile_checksum: fields.checksum })
    return Object.assign(image, { datafile: `${storage}/${image.id}` })
  }

  async function uploadImage (exchange: Exchange): Promise<Answer> {
    const parts = readMultipart(exchange.header('content-type'), await exchange.body())
    if (parts === undefined) throw errors.badRequest('Malformed multipart/form-data.')
    const datafile = parts.find(part => part.name === 'datafile')
    if (datafile === undefined) throw errors.validation({ name: 'datafile', message: 'Parameter missing.' })
    const text = (name: string): string => parts.find(part => part.name === name)?.body.toString() ?? ''
    const checksum = createHash('sha256').update(datafile.body).digest('hex')
    const image = addImage({ name: text('name') || datafile.filename || '', description: text('description'), size: datafile.body.length, checksum })
    return { status: 201, json: image, headers: { Location: `${world.origin}/v3/firmware-images/${image.id}` } }
  }

  function deleteImage (exchange: Exchange): Answer {
    images.delete(exchange.param('id'))
    return noContent()
  }

  const chunksOf = (jobId: string): Chunk[] => chunks.get(jobId) ?? []

  /** An empty chunk ends the job and makes the image. */
  async function appendChunk (exchange: Exchange): Promise<Answer> {
    const job = jobs.find(exchange.param('job_id'))
    const body = await exchange.body()
    checkChunk(exchange, job, body)
    const previous = chunksOf(job.id)
    const last = previous.at(-1)
    if (body.length > 0 && last !== undefined && last.length < options.minChunkBytes) throw errors.badRequest('Only the last chunk may be smaller than 5 MB.')
    const now = ids.now()
    const chunk: Chunk = { object: 'upload-info', id: String(previous.length + 1), upload_job_id: job.id, length: body.length, hash: createHash('sha256').update(body).digest('hex'), etag: now, created_at: now, updated_at: now }
    chunks.set(job.id, [...previous, chunk])
    const digest = digests.get(job.id) ?? createHash('sha256')
    digests.set(job.id, digest.update(body))
    if (body.length === 0) finish(job)
    const location = `${world.origin}/v3/firmware-images/upload-jobs/${job.id}/chunks/${chunk.id}`
    return { status: 201, json: chunk, headers: { Location: location, 'Content-Location': location } }
  }

  function finish (job: Entity): void {
    const size = chunksOf(job.id).reduce((sum, chunk) => sum + chunk.length, 0)
    const checksum = digests.get(job.id)?.digest('hex') ?? ''
    digests.delete(job.id)
    const image = addImage({ name: String(job['name'] ?? ''), description: String(job['description'] ?? ''), size, checksum })
    jobs.update(job.id, { complete: true, status: 'success', firmware_image_id: image.id })
  }

  function findChunk (exchange: Exchange): Answer {
    const chunk = chunksOf(jobs.find(exchange.param('job_id')).id).find(({ id }) => id === exchange.param('chunk_id'))
    if (chunk === undefined) throw errors.notFound('Chunk not found.')
    return ok(chunk)
  }

  const jobPath = '/v3/firmware-images/upload-jobs'
  const jobRoutes = collectionRoutes({ collection: jobs, path: jobPath, writable: { name: 128, description: 2000 }, origin })
    .map(route => route.method === 'POST' ? { ...route, handle: withDefaults(route.handle, jobs) } : route)
  return [
    ...collectionRoutes({ collection: images, path: '/v3/firmware-images', origin }),
    { method: 'POST', path: '/v3/firmware-images', handle: uploadImage, maxBodyBytes: options.maxFirmwareBytes },
    { method: 'DELETE', path: '/v3/firmware-images/{id}', handle: deleteImage },
    ...jobRoutes,
    { method: 'GET', path: `${jobPath}/{job_id}/chunks`, handle: exchange => ok(pageOf(chunksOf(jobs.find(exchange.param('job_id')).id), readListQuery(exchange.query))) },
    { method: 'POST', path: `${jobPath}/{job_id}/chunks`, handle: appendChunk, maxBodyBytes: maxChunkBytes },
    { method: 'GET', path: `${jobPath}/{job_id}/chunks/{chunk_id}`, handle: findChunk }
  ]
}

/** Both headers are demanded: whoever sends the chunk on in another framing is found out here. */
function checkChunk (exchange: Exchange, job: Entity, body: Buffer): void {
  if (job['complete'] === true) throw errors.badRequest('The upload job is complete.')
  if (exchange.header('content-length') === '') throw errors.validation({ name: 'Content-Length', message: 'Header missing.' })
  if (exchange.header('content-md5') === '') throw errors.validation({ name: 'Content-MD5', message: 'Header missing.' })
  const digest = createHash('md5').update(body).digest('base64')
  if (exchange.header('content-md5') !== digest) throw errors.validation({ name: 'Content-MD5', message: 'Does not match the body.' })
}

function withDefaults (create: Route['handle'], jobs: Collection): Route['handle'] {
  return async exchange => {
    const answer = await create(exchange)
    const { id } = answer.json as Entity
    return { ...answer, json: Object.assign(jobs.find(id), { complete: false, status: 'in_progress', firmware_image_id: null }) }
  }
}
