import { createRouteMatcher } from './route-matcher.ts'
import { documented, own, readOperations, undocumented } from './route-templates.ts'

/** The route template of a path of the API or of our own, one of some 230; `undefined` for everything else. */
export const matchRoute = createRouteMatcher([documented, undocumented, own].flatMap(readOperations).map(({ template }) => template))
