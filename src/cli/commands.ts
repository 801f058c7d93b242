import type { Command } from './command.ts'

/** Loaded one at a time: `trail list` needn't wait for what `start` needs. */
const loaders: Record<string, () => Promise<{ command: Command }>> = {
  start: () => import('./start.ts'),
  demo: () => import('./demo.ts'),
  'demo-fleet': () => import('./demo-fleet.ts'),
  sandbox: () => import('./sandbox.ts'),
  check: () => import('./check.ts'),
  wait: () => import('./wait.ts'),
  run: () => import('./run.ts'),
  get: () => import('./get.ts'),
  team: () => import('./team.ts'),
  trail: () => import('./trail.ts'),
  reference: () => import('./reference.ts')
}

export const commandNames = Object.keys(loaders)

export async function loadCommand (name: string): Promise<Command | undefined> {
  const load = Object.hasOwn(loaders, name) ? loaders[name] : undefined
  return load === undefined ? undefined : (await load()).command
}
