import type { Test } from 'tap'
import { startSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/index.ts'
import { startProxy, type StartedProxy, type StartOptions } from './proxy.ts'

export interface Product extends StartedProxy { sandbox: Sandbox }

/** The proxy over the sandbox. */
export async function startProduct (t: Test, { sandbox: options = {}, ...rest }: Partial<StartOptions> & { sandbox?: SandboxOptions } = {}): Promise<Product> {
  const sandbox = await startSandbox({ devices: 20, ...options })
  t.teardown(() => sandbox.close())
  const proxy = await startProxy(t, { api: { origin: sandbox.origin, ca: sandbox.caPem }, accessKey: sandbox.accessKey, ...rest })
  return Object.assign(proxy, { sandbox })
}
