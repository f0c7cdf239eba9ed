/** Every kind of authority that can hold CA keys. */
import { software } from './software.ts'

export const authorityExtensions = [software] as const
