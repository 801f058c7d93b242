import { execFileSync } from 'node:child_process'
import t from 'tap'
import { drive, readFolder, search, startCanary, type Seen } from '../support/canary.ts'
import { startPostgres } from '../support/postgres.ts'

// The command is a process of its own, seen by everybody on the machine, and gets a copy of what it is given.
t.test('with the key from a command and the trail in PostgreSQL, key and token are nowhere but where they belong', async t => {
  const server = await startPostgres()
  if (server === undefined) return t.pass('not run', { skip: 'apt-get install postgresql' })
  t.teardown(() => server.remove())
  const database = await server.createDatabase()
  const spy = (file: string, folder: string) => `cat /proc/self/environ /proc/self/cmdline /proc/$PPID/environ /proc/$PPID/cmdline > ${folder}/children; cat ${file}`
  const canary = await startCanary(t, { trail: database, keyFlags: (file, folder) => ['--access-key-command', spy(file, folder)] })
  const seen: Seen = new Map()
  await drive(t, canary, seen)
  t.equal(await canary.proxy.stop(), 0)
  seen.set('standard output and error', canary.proxy.output())
  seen.set('files', readFolder(canary.folder))
  const { searchParams, pathname } = new URL(database.replace('trail@', 'trail@localhost'))
  seen.set('a dump of the database', execFileSync('pg_dump', ['-h', searchParams.get('host') ?? '', '-U', 'trail', '--inserts', pathname.slice(1)], { encoding: 'latin1' }))
  t.match(seen.get('a dump of the database'), '/v3/faulty/truncate')
  t.match(seen.get('files'), 'PATH=', 'the command saw an environment')
  search(t, seen, canary)
})
