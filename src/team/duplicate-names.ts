import { join } from './mistakes.ts'

/**
 * Names that occur twice in one object of a JSON text. `JSON.parse` silently keeps the last one, so a second `"deny"` list would make
 * the first disappear. The text must be valid JSON. Gives paths such as `members.alice.deny`.
 */
export function findDuplicateNames (json: string): string[] {
  const found: string[] = []
  /** From the outside in: for an object the names seen in it, for a list `null`. */
  const open: Array<{ names: Set<string> | null, path: string, key: string }> = []
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g)) {
    const inside = open.at(-1)
    const path = inside === undefined ? '' : inside.names === null ? inside.path + '[]' : join(inside.path, inside.key)
    if (token === '{') open.push({ names: new Set(), path: inside === undefined ? '' : path, key: '' })
    else if (token === '[') open.push({ names: null, path, key: '' })
    else if (token === '}' || token === ']') open.pop()
    else if (token.endsWith(':') && inside?.names) noteName(inside as { names: Set<string>, path: string, key: string }, token, found)
  }
  return found
}

function noteName (inside: { names: Set<string>, path: string, key: string }, token: string, found: string[]): void {
  inside.key = JSON.parse(token.slice(0, token.lastIndexOf('"') + 1)) as string
  if (inside.names.has(inside.key)) found.push(join(inside.path, inside.key))
  inside.names.add(inside.key)
}
