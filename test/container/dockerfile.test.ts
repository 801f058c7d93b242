import { readFileSync } from 'node:fs'
import { DockerfileParser, type Copy, type Instruction } from 'dockerfile-ast'
import t from 'tap'

const dockerfile = DockerfileParser.parse(readFileSync('Dockerfile', 'utf8'))
const all = dockerfile.getInstructions()
const named = (keyword: string) => all.filter(instruction => instruction.getKeyword() === keyword)
const argumentsOf = (instruction: Instruction | undefined) => instruction?.getArgumentsContent() ?? ''
/** Those of the stage that becomes the image. */
const final = all.slice(all.findLastIndex(instruction => instruction.getKeyword() === 'FROM'))
const lastOf = (keyword: string) => final.findLast(instruction => instruction.getKeyword() === keyword)

t.test('every stage is built on one base, which is an ARG pinned by digest and new enough', async t => {
  const [base] = dockerfile.getInitialARGs()
  const [, major, minor] = /^BASE=docker\.io\/library\/node:(\d+)\.(\d+)\.\d+-[a-z]+-slim@sha256:[0-9a-f]{64}$/.exec(argumentsOf(base)) ?? []
  t.ok(Number(major) > 24 || (Number(major) === 24 && Number(minor) >= 17), argumentsOf(base))
  for (const from of named('FROM')) t.match(argumentsOf(from), /^(\$\{BASE\}|build)( AS [a-z]+)?$/)
  t.match(argumentsOf(named('FROM').at(-1)), /^\$\{BASE\}$/)
})

t.test('packages come from the lockfile, and none of their scripts runs', async t => {
  const installs = named('RUN').map(argumentsOf).filter(text => text.includes('npm ci'))
  t.equal(installs.length, 2)
  for (const install of installs) t.match(install, /^npm ci (--omit=dev )?--ignore-scripts /)
  t.match(installs[1], /npm sbom .*cyclonedx/)
  t.notMatch(all.map(argumentsOf).join('\n'), /npm (install|i|update) |curl |wget |apt-get/)
})

t.test('runs as a numeric user that is not root, with entry point and health check in exec form', async t => {
  t.match(argumentsOf(lastOf('USER')), /^[1-9]\d{3,}:[1-9]\d{3,}$/)
  for (const keyword of ['ENTRYPOINT', 'CMD']) t.ok(Array.isArray(JSON.parse(argumentsOf(lastOf(keyword)))), keyword)
  const [, command = ''] = /CMD (\[.*\])$/s.exec(argumentsOf(lastOf('HEALTHCHECK'))) ?? []
  t.match(JSON.parse(command), ['node', '-e', /fetch\(/])
  t.ok(final.indexOf(lastOf('USER') as Instruction) < final.indexOf(lastOf('ENTRYPOINT') as Instruction))
  t.notOk(final.some((instruction, index) => instruction.getKeyword() === 'RUN' && index > final.indexOf(lastOf('USER') as Instruction)))
})

t.test('holds no secret: not as ARG, not as ENV, and copies by name', async t => {
  for (const instruction of [...named('ARG'), ...named('ENV')]) t.notMatch(argumentsOf(instruction), /key|token|secret|password|auth/i)
  for (const instruction of [...named('COPY'), ...named('ADD')]) t.notMatch(argumentsOf(instruction), /(^|\s)(\.|\.\/|\*)\s+/, argumentsOf(instruction))
  t.same(named('ADD'), [])
})

t.test('says what it is', async t => {
  const labels = argumentsOf(lastOf('LABEL'))
  for (const name of ['title', 'description', 'licenses', 'version', 'revision']) t.match(labels, `org.opencontainers.image.${name}=`)
})

t.test('the build sees nothing but what the Dockerfile copies', async t => {
  const lines = readFileSync('.dockerignore', 'utf8').split('\n').filter(line => line !== '' && !line.startsWith('#'))
  t.equal(lines[0], '*')
  const allowed = lines.filter(line => line.startsWith('!')).map(line => line.slice(1).replace(/\/$/, ''))
  const copied = named('COPY').filter(copy => (copy as Copy).getFromFlag() === null).map(argumentsOf).flatMap(text => text.split(/\s+/).slice(0, -1)).map(path => path.replace(/\/$/, ''))
  t.same(allowed.sort(), [...new Set(copied)].sort())
})
