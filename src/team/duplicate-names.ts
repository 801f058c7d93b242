import { join } from './mistakes.ts'

/** An object or list that is open at some place of the text. */
interface Open {
  /** Names seen in an object; `null` for a list. */
  names: Set<string> | null
  /** The name whose value comes next. */
  name: string
}

/**
 * Names that occur twice in one object of a JSON text. `JSON.parse` silently keeps the last one, so a second `"deny"` list would make
 * the first disappear. The text must be valid JSON. Gives paths such as `members.alice.deny`.
 */
export function findDuplicateNames (json: string): string[] {
  const found: string[] = []
  const open: Open[] = []
  const tokens = /"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g
  for (let match = tokens.exec(json); match !== null; match = tokens.exec(json)) {
    const token = match[0]
    const first = token.charCodeAt(0)
    if (first === 0x7b) open.push({ names: new Set(), name: '' })
    else if (first === 0x5b) open.push({ names: null, name: '' })
    else if (first !== 0x22) open.pop()
    else if (token.endsWith(':') && noteName(open.at(-1), token)) found.push(describePath(open))
  }
  return found
}

/** True if the name was there already. */
function noteName (inside: Open | undefined, token: string): boolean {
  if (!inside?.names) return false
  const quoted = token.slice(0, token.lastIndexOf('"') + 1)
  inside.name = quoted.includes('\\') ? JSON.parse(quoted) as string : quoted.slice(1, -1)
  return inside.names.size === inside.names.add(inside.name).size
}

function describePath (open: Open[]): string {
  return open.reduce((path, { names, name }) => names === null ? path + '[]' : join(path, name), '')
}
