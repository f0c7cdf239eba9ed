/** What says how the API is used: its document, the pages that show it, and what each problem means. Open to everyone. */
import { readFile } from 'node:fs/promises'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { refusalRules } from '../base/errors.ts'
import { openApiDocument } from './openapi.ts'
import { problemCodes } from './problem.ts'
import { restPrefix } from './rest.ts'
import type { Route } from './route.ts'

/** Nothing from elsewhere, no script but our files, no frame around them. */
export const strictPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const pages = {
  '': ['index.html', 'text/html; charset=utf-8'],
  'docs.js': ['docs.js', 'text/javascript; charset=utf-8'],
  'docs.css': ['docs.css', 'text/css; charset=utf-8'],
} as const

export async function mountDocuments(
  app: FastifyInstance,
  { routes, version }: { readonly routes: readonly Route[]; readonly version: string },
): Promise<void> {
  const document = JSON.stringify(openApiDocument(routes, version))
  app.get(`${restPrefix}/openapi.json`, async (_request, reply) =>
    reply
      .type('application/vnd.oai.openapi+json;version=3.1')
      .header('cache-control', 'no-cache')
      .send(document),
  )
  for (const [name, [file, type]] of Object.entries(pages)) {
    const text = await readFile(new URL(`docs-page/${file}`, import.meta.url), 'utf8')
    const send = async (_request: unknown, reply: FastifyReply) => sendStatic(reply, type, text)
    app.get(`/api/docs/${name}`, send)
  }
  app.get('/api/docs', async (_request, reply) => reply.redirect('/api/docs/', 301))
  app.get<{ Params: { code: string } }>('/api/problems/:code', async (request, reply) => {
    const code = problemCodes.find((each) => each === request.params.code)
    if (code === undefined) return reply.code(404).type('text/plain; charset=utf-8').send('no such problem\n')
    const status = code === 'internal' ? 500 : refusalRules[code].http
    return { code, status, documentation: 'docs/refusals.md' }
  })
}

function sendStatic(reply: FastifyReply, type: string, text: string): FastifyReply {
  return reply
    .type(type)
    .headers({
      'content-security-policy': strictPolicy,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cache-control': 'no-cache',
    })
    .send(text)
}
