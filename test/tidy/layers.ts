/** The arrows of ARCHITECTURE.md: who may import whom. */
import { posix } from 'node:path'
import { computedImportsOf, importsOf, type Source } from './source.ts'
import type { Finding } from './rules.ts'

interface Layer {
  /** Other layers of `src/` that it may import; its own files always. */
  readonly imports: readonly string[]
  /** npm packages; absent: any declared one. */
  readonly packages?: readonly string[]
}

const edges = ['protocols', 'api', 'authorities', 'connectors', 'triggers', 'notifiers']
const belowEdge = ['engine', 'pki', 'filter', 'base']
const belowApp = ['config', ...edges, 'client', 'agent', 'engine', 'store', 'pki', 'filter', 'base']

export const layers: Readonly<Record<string, Layer>> = {
  base: { imports: [], packages: ['pino', '@opentelemetry/api'] },
  pki: { imports: ['base'], packages: [] },
  // The filter language of lists; runs in a browser too.
  filter: { imports: ['base'], packages: [] },
  store: { imports: ['filter', 'base'], packages: ['kysely', 'pg'] },
  // The REST API for programs: fetch alone, so that a page can use it.
  client: { imports: [], packages: [] },
  engine: { imports: ['store', 'pki', 'filter', 'base'], packages: [] },
  agent: { imports: ['pki', 'base'], packages: ['mqtt'] },
  config: { imports: ['engine', 'pki', 'base'] },
  ...Object.fromEntries(edges.map((name) => [name, { imports: belowEdge }])),
  // An extension implements a port: of the engine it sees nothing else.
  authorities: { imports: ['engine/ports.ts', 'pki', 'base'], packages: [] },
  connectors: { imports: ['engine/ports.ts', 'pki', 'base'], packages: [] },
  triggers: { imports: ['engine/ports.ts', 'pki', 'base'], packages: ['smpp'] },
  notifiers: { imports: ['engine/ports.ts', 'pki', 'base'], packages: ['nodemailer'] },
  app: { imports: belowApp },
  // Runs an app: processes, listeners, the demo fleet.
  serve: { imports: ['app', ...belowApp] },
  sim: { imports: ['app', ...belowApp] },
  cli: { imports: ['app', 'serve', 'sim', ...belowApp] },
  main: { imports: ['cli', 'app', 'serve', 'sim', ...belowApp] },
}

/** Files that stand directly in `src/`. */
const rootFiles: Readonly<Record<string, string>> = {
  'main.ts': 'main',
  'config.ts': 'config',
  'app.ts': 'app',
  'initialise.ts': 'app',
  'start-checks.ts': 'app',
  'data-directory.ts': 'app',
  'trigger-channels.ts': 'app',
  'alert-notifiers.ts': 'app',
  'connector-list.ts': 'app',
  'server-certificate.ts': 'app',
  'serve.ts': 'serve',
  'demo.ts': 'serve',
}

/** The dashboard: HTTP, and what of the product runs in a browser as well. Its packages are built in, none is there at run time. */
export const webLayer = {
  imports: ['src/filter/', 'src/client/'],
  packages: [
    '@tanstack/react-query',
    '@tanstack/react-router',
    '@tanstack/react-virtual',
    'echarts',
    'react',
    'react-dom',
  ],
} as const

/** Only the store knows that there is SQL. */
const packageOwners: Readonly<Record<string, string>> = { kysely: 'store', pg: 'store' }

/** The layer of a file of `src/`, or null when it has none. */
export function layerOf(path: string): string | null {
  const [, first, second] = path.split('/')
  if (first === undefined) return null
  // A test beside `serve.ts` is where `serve.ts` is.
  const layer = rootFiles[first.replace(/\.test\.ts$/, '.ts')] ?? (second === undefined ? null : first)
  return layer !== null && layer in layers ? layer : null
}

export interface Declared {
  readonly dependencies: readonly string[]
  readonly devDependencies: readonly string[]
}

export function layerFindings(sources: readonly Source[], declared: Declared): Finding[] {
  return sources.flatMap((source) => {
    const findings: Finding[] = []
    const report = (line: number, message: string): void =>
      void findings.push({ path: source.path, line, message })
    const layer = layerOf(source.path)
    const isProduct = source.path.startsWith('src/') && !source.path.endsWith('.test.ts')

    if (source.path.startsWith('src/') && layer === null)
      report(1, 'has no layer; give it one in test/tidy/layers.ts')
    if (source.path.startsWith('web/src/')) {
      for (const { specifier, line } of importsOf(source)) {
        const message = webImport(source.path, specifier)
        if (message !== null) report(line, message)
      }
      for (const line of computedImportsOf(source)) report(line, 'imports a computed path')
      return findings
    }
    for (const { specifier, line } of importsOf(source)) {
      const message = specifier.startsWith('.')
        ? isProduct && layer !== null && relativeImport(source.path, layer, specifier)
        : packageImport(
            specifier,
            isProduct ? layer : null,
            isProduct ? declared.dependencies : all(declared),
          )
      if (typeof message === 'string') report(line, message)
    }
    if (isProduct) for (const line of computedImportsOf(source)) report(line, 'imports a computed path')
    return findings
  })
}

function webImport(path: string, specifier: string): string | null {
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(path), specifier)
    if (!/\.(tsx?|css|svg)$/.test(target)) return `imports ${specifier} without its extension`
    const isAllowed =
      target.startsWith('web/src/') || webLayer.imports.some((each) => target.startsWith(each))
    return isAllowed ? null : `web knows nothing but the REST API, and must not import ${target}`
  }
  return (webLayer.packages as readonly string[]).includes(packageName(specifier))
    ? null
    : `web must not import ${specifier}`
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function relativeImport(path: string, layer: string, specifier: string): string | null {
  const target = posix.join(posix.dirname(path), specifier)
  if (!/\.(ts|json|md)$/.test(target)) return `imports ${specifier} without its extension`
  if (target === 'package.json') return null
  if (!target.startsWith('src/')) return `imports ${target}, which is not part of the product`
  if (target.endsWith('.test.ts')) return `imports the test ${target}`
  const other = layerOf(target)
  if (other === null || other === layer) return null
  const allowed = (layers[layer] as Layer).imports
  if (allowed.includes(other) || allowed.some((file) => target === `src/${file}`)) return null
  return `${layer} must not import ${other} (${target})`
}

function packageImport(specifier: string, layer: string | null, declared: readonly string[]): string | null {
  if (specifier.startsWith('node:')) return null
  const name = packageName(specifier)
  if (name === 'perennial') return null
  if (!declared.includes(name)) return `imports ${name}, which package.json does not declare for it`
  if (layer === null) return null
  const allowed = (layers[layer] as Layer).packages
  if (allowed && !allowed.includes(name)) return `${layer} must not import the package ${name}`
  const owner = packageOwners[name]
  if (owner !== undefined && owner !== layer) return `only ${owner} imports the package ${name}`
  return null
}

function all(declared: Declared): string[] {
  return [...declared.dependencies, ...declared.devDependencies]
}
