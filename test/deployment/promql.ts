import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs promtool in a folder with copies of these files, and tells what it said if it failed. */
export function runPromtool (files: Record<string, string>, args: string[]): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'promtool-'))
  try {
    for (const [name, source] of Object.entries(files)) cpSync(source, join(folder, name))
    const { status, stdout, stderr, error } = spawnSync('promtool', args, { cwd: folder, encoding: 'utf8' })
    return status === 0 ? undefined : `${error?.message ?? ''}${stdout}${stderr}`
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** promtool has no command for a bare expression, but it reads rules. */
export function findSyntaxFault (expressions: string[]): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'promql-'))
  const rules = expressions.map((expr, index) => ({ record: `test:expression_${index}`, expr }))
  const file = join(folder, 'rules.json')
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'expressions', rules }] }))
  try {
    return runPromtool({ 'rules.yaml': file }, ['check', 'rules', 'rules.yaml'])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Metrics of ours and of Node's that an expression names, histograms by their base name. */
export function namedMetrics (expression: string): string[] {
  return [...expression.matchAll(/\b(izuma_proxy|nodejs|process)_[a-z0-9_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ''))
}
