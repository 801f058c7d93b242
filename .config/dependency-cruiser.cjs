// The house rules of src/README.md, as import rules.
const rooms = 'config|access-key|guard|fleet|team|channel|upstream|advice|pages|trail|ops|console|sandbox|cli'

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'rooms-keep-to-themselves',
      comment: 'A room imports its own files, errors.ts, the shared decorations, config, the Secret and the trail record; everything else is handed to it by app.ts.',
      severity: 'error',
      from: { path: `^src/(${rooms})/`, pathNot: '^src/(cli|sandbox|console)/' },
      to: {
        path: `^src/(${rooms})/`,
        pathNot: ['^src/$1/', '^src/config/', '^src/access-key/(secret|redact)\\.ts$', '^src/trail/record\\.ts$']
      }
    },
    {
      name: 'config-and-record-stand-alone',
      severity: 'error',
      from: { path: '^src/(config/|trail/record\\.ts|errors\\.ts|access-key/(secret|redact)\\.ts)' },
      to: { path: '^src/(guard|fleet|team|channel|upstream|advice|pages|ops|console|sandbox|cli)/' }
    },
    {
      name: 'sandbox-and-console-know-no-room',
      severity: 'error',
      from: { path: '^src/(sandbox|console)/' },
      to: { path: `^src/(${rooms})/`, pathNot: '^src/$1/' }
    },
    {
      name: 'only-the-process-composes',
      comment: 'app.ts is the composition root.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(main\\.ts|cli/)' },
      to: { path: '^src/app\\.ts$' }
    },
    {
      name: 'only-the-process-knows-the-commands',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(main\\.ts|cli/)' },
      to: { path: '^src/cli/' }
    },
    {
      name: 'the-http-client-belongs-to-upstream',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/upstream/' },
      to: { path: 'node_modules/(undici|@fastify/http-proxy|@fastify/reply-from)/' }
    },
    {
      name: 'websockets-belong-to-channel-upstream-and-sandbox',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(upstream|channel|sandbox)/' },
      to: { path: 'node_modules/(ws|@types/ws)/' }
    },
    {
      name: 'redis-belongs-to-fleet',
      comment: 'Others get a connection handed; its type is all they import.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/fleet/' },
      to: { path: 'node_modules/ioredis/', dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'no-dev-packages-in-the-product',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/console/web/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' }
    }
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^src/console/web/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types', 'default'] }
  }
}
