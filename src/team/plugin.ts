import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Settings } from '../config/table.ts'
import type { Member } from '../decorations.ts'

export interface TeamOptions {
  settings: Settings
  /** For what must outlive the process. Default: beside the trail. */
  stateFolder?: string
}

/** Each half is loaded when it is needed: who has no team doesn't wait for one at start. */
async function plugTeam (app: FastifyInstance, { settings, stateFolder }: TeamOptions): Promise<void> {
  app.decorateRequest('member', null as unknown as Member)
  if (settings.teamFile === undefined) {
    const { plugLocal } = await import('./local-room.ts')
    return plugLocal(app, settings.localDeny)
  }
  const { plugMembers } = await import('./members-room.ts')
  await plugMembers(app, settings, settings.teamFile, stateFolder)
}

export default fastifyPlugin(plugTeam, { name: 'team', dependencies: ['health', 'trail', 'guard', 'fleet'] })
