/** `npm run docs`: writes the generated parts of the documentation, and the typed client of the API. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openApiDocument } from '../src/api/openapi.ts'
import { routes } from '../src/api/routes.ts'
import { clientSource } from './client-source.ts'
import { withConfigurationTables } from './configuration-table.ts'

const path = join(import.meta.dirname, '../docs/configuration.md')
writeFileSync(path, withConfigurationTables(readFileSync(path, 'utf8')))

const generated = join(import.meta.dirname, '../src/client/generated')
mkdirSync(generated, { recursive: true })
for (const [name, text] of Object.entries(clientSource(openApiDocument(routes, '')))) {
  writeFileSync(join(generated, name), text)
}
