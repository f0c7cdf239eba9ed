/** `npm run docs`: writes the generated parts of the documentation. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withConfigurationTables } from './configuration-table.ts'

const path = join(import.meta.dirname, '../docs/configuration.md')
writeFileSync(path, withConfigurationTables(readFileSync(path, 'utf8')))
