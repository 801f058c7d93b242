import { Check } from 'typebox/value'
import type { TSchema } from 'typebox'
import { suggest } from '../config/load.ts'

interface ObjectSchema { properties?: Record<string, TSchema>, patternProperties?: Record<string, TSchema>, required?: string[] }

/**
 * Everything in which a value differs from a schema, one line each with its JSON path. Walks objects and lists itself, so that
 * no mistake hides another and unknown names get a suggestion; leaves are left to TypeBox.
 */
export function findMistakes (schema: TSchema, value: unknown, path: string): string[] {
  const type = (schema as { type?: string }).type
  if (type === 'object') return isObject(value) ? findInObject(schema as ObjectSchema, value, path) : [describe(schema, value, path)]
  if (type === 'array') return Array.isArray(value) ? value.flatMap((item, index) => findMistakes((schema as unknown as { items: TSchema }).items, item, `${path}[${index}]`)) : [describe(schema, value, path)]
  return Check(schema, value) ? [] : [describe(schema, value, path)]
}

/**
 * What of a value fits its schema, so that it can be looked at further, whatever is wrong elsewhere. Items of a list keep
 * their places: one that doesn't fit is a hole.
 */
export function keepFitting (schema: TSchema, value: unknown): unknown {
  const { type, items, properties = {}, patternProperties = {} } = schema as ObjectSchema & { type?: string, items?: TSchema }
  if (type === 'array' && items !== undefined) return Array.isArray(value) ? keepItems(items, value) : undefined
  if (type !== 'object') return Check(schema, value) ? value : undefined
  if (!isObject(value)) return undefined
  const ofName = (name: string) => Object.hasOwn(properties, name) ? properties[name] : Object.values(patternProperties)[0]
  return Object.fromEntries(Object.entries(value).map(([name, item]) => {
    const known = ofName(name)
    return [name, known === undefined ? undefined : keepFitting(known, item)] as const
  }).filter(([, item]) => item !== undefined))
}

function keepItems (schema: TSchema, list: unknown[]): unknown[] {
  const kept: unknown[] = []
  list.forEach((item, index) => {
    const fitting = keepFitting(schema, item)
    if (fitting !== undefined) kept[index] = fitting
  })
  return kept
}

function findInObject (schema: ObjectSchema, value: Record<string, unknown>, path: string): string[] {
  const missing = (schema.required ?? []).filter(name => !Object.hasOwn(value, name)).map(name => `${join(path, name)}: is missing`)
  return [...missing, ...Object.entries(value).flatMap(([name, item]) => findInProperty(schema, name, item, join(path, name)))]
}

function findInProperty ({ properties, patternProperties }: ObjectSchema, name: string, item: unknown, path: string): string[] {
  if (properties !== undefined && Object.hasOwn(properties, name)) return findMistakes(properties[name] as TSchema, item, path)
  const [named] = Object.entries(patternProperties ?? {})
  if (named !== undefined) {
    const wrong = new RegExp(named[0]).test(name) ? [] : [`${path}: this name won't do: letters, digits and . _ @ + -, at most 64, the first a letter or digit`]
    return [...wrong, ...findMistakes(named[1], item, path)]
  }
  const nearest = suggest(name, Object.keys(properties ?? {}))
  return [`${path}: no such property${nearest === undefined ? '' : `; did you mean ${nearest}?`}`]
}

function describe (schema: TSchema, value: unknown, path: string): string {
  const { title, enum: choices } = schema as { title?: string, enum?: string[] }
  const nearest = typeof value === 'string' && choices !== undefined ? suggest(value, choices) : undefined
  return `${path || 'the file'}: expected ${title ?? 'something else'}, found ${show(value)}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`
}

/** A member token that was put where its digest belongs must not be printed. */
function show (value: unknown): string {
  const text = JSON.stringify(value)
  if (/izp_|ak_/.test(text)) return 'something secret (not shown)'
  return text.length > 60 ? text.slice(0, 60) + '…' : text
}

/** `members.alice.tokens`, `members["a b"]` */
export function join (path: string, name: string): string {
  if (!/^[A-Za-z_$][A-Za-z0-9_$-]*$/.test(name)) return `${path}[${JSON.stringify(name)}]`
  return path === '' ? name : `${path}.${name}`
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
