/**
 * Serves the built dashboard (web/dist). Files are known by name from the start, so no path of a request reaches the file system;
 * each was compressed when it was built.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/**
 * No inline script, no inline style, nothing from elsewhere. A hostile name that gets past React still finds no way to run, and
 * a string that would become markup is refused by the browser.
 */
export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types default',
].join('; ')

const pageHeaders = {
  'content-security-policy': contentSecurityPolicy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
}

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

interface Asset {
  readonly type: string
  readonly etag: string
  readonly plain: Buffer
  readonly br: Buffer | null
  readonly gzip: Buffer | null
}

/** Where `npm run build:web` puts it, in a checkout and in the package. */
export const dashboardDirectory = join(import.meta.dirname, '../../web/dist')

const notBuilt = 'The dashboard is not built here. In a checkout: npm run build:web, then start again.\n'

/** Every address without a file that no other route answers is a page of the dashboard; the browser knows which. */
export function registerDashboard(app: FastifyInstance, directory: string): void {
  const assets = readAssets(directory)
  // not a route of its own: it would hide what the API says about paths that it does not have
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] as string
    const isFile = path.split('/').at(-1)?.includes('.') ?? false
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (!isRead || path.startsWith('/api/') || (isFile && !assets.has(path))) {
      return reply.code(404).type('text/plain; charset=utf-8').send('not found\n')
    }
    const asset = assets.get(isFile ? path : '/index.html')
    if (!asset) return reply.code(503).type('text/plain; charset=utf-8').send(notBuilt)
    return send(asset, { request, reply, isForEver: path.startsWith('/assets/') })
  })
}

interface Answering {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** Its name is made from its content. */
  readonly isForEver: boolean
}

function send(asset: Asset, { request, reply, isForEver }: Answering): FastifyReply {
  void reply.headers(pageHeaders).headers({
    'cache-control': isForEver ? 'public, max-age=31536000, immutable' : 'no-cache',
    etag: asset.etag,
    vary: 'accept-encoding',
  })
  if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send()
  const accepted = String(request.headers['accept-encoding'] ?? '')
  const encoding = /\bbr\b/.test(accepted) && asset.br ? 'br' : null
  const other = encoding ?? (/\bgzip\b/.test(accepted) && asset.gzip ? 'gzip' : null)
  if (other !== null) void reply.header('content-encoding', other)
  return reply.type(asset.type).send(other === null ? asset.plain : asset[other === 'br' ? 'br' : 'gzip'])
}

/** Empty when nothing was built. A few hundred kilobytes, compressed: they stay in memory. */
function readAssets(directory: string): Map<string, Asset> {
  const names = namesIn(directory)
  const read = (name: string): Buffer | null =>
    names.includes(name) ? readFileSync(join(directory, name)) : null
  return new Map(
    names.flatMap((name) => {
      const type = types[name.split('.').at(-1) as string]
      if (type === undefined) return []
      const plain = read(name) as Buffer
      const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`
      const asset = { type, etag, plain, br: read(`${name}.br`), gzip: read(`${name}.gz`) }
      return [[`/${name.split(sep).join('/')}`, asset] as const]
    }),
  )
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' })
  } catch {
    return []
  }
}
