/** The files of deploy/, each by its own validator where Debian has it. Helm is not in Debian: see fillTemplate. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { Metrics } from '../../src/api/metrics.ts'
import { freePorts } from '../helpers/checkout.ts'
import { testPassphrase } from '../helpers/installation.ts'
import { perennial, startPerennial, temporaryFolder } from '../helpers/perennial.ts'
import { missing } from '../helpers/require.ts'
import { run } from '../helpers/run.ts'

const root = join(import.meta.dirname, '..', '..')
const deploy = join(root, 'deploy')
const read = (...path: string[]): string => readFileSync(join(deploy, ...path), 'utf8')
const rulesFile = join(deploy, 'prometheus', 'perennial.rules.yml')

test('promtool takes the rules, and they fire when they should', { skip: missing('promtool') }, async () => {
  const check = await run('promtool', ['check', 'rules', rulesFile])
  assert.equal(check.exitCode, 0, check.stderr)
  const cwd = join(deploy, 'prometheus')
  const tested = await run('promtool', ['test', 'rules', 'perennial.rules.test.yml'], { cwd })
  assert.equal(tested.exitCode, 0, `${tested.stdout.toString()}${tested.stderr}`)
})

test('promtool takes what a running platform shows', { skip: missing('promtool') }, async () => {
  const folder = temporaryFolder()
  const [est, status, admin] = await freePorts(3)
  const env = {
    PERENNIAL_DATA: join(folder, 'data'),
    PERENNIAL_PASSPHRASE: testPassphrase,
    PERENNIAL_EST__PORT: String(est),
    PERENNIAL_STATUS__PORT: String(status),
    PERENNIAL_ADMIN__PORT: String(admin),
    PERENNIAL_MQTT__BROKER: 'none',
  }
  const made = await perennial(['init'], { cwd: folder, env })
  assert.equal(made.exitCode, 0, made.stderr)
  const serving = startPerennial(['serve', '--json'], { cwd: folder, env })
  try {
    assert.ok(serving.stdout)
    for await (const line of createInterface(serving.stdout)) if (line === '}') break
    assert.equal((await fetch(`http://127.0.0.1:${admin}/startupz`)).status, 200)
    const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text()
    const check = await run('promtool', ['check', 'metrics'], { input: text })
    assert.equal(`${check.stdout.toString()}${check.stderr}`, '')
    assert.equal(check.exitCode, 0)
    assert.match(text, /^perennial_signature_seconds_count\{key="issuing-[0-9a-f]+",result="signed"\} [1-9]/m)
    assert.match(text, /^perennial_devices\{state="active"\} 0$/m)
  } finally {
    const gone = once(serving, 'exit')
    serving.kill('SIGKILL')
    await gone
  }
})

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string
      readonly expr: string
      readonly annotations: { readonly runbook: string }
    }[]
  }[]
}

test('each rule has a runbook that is there', () => {
  const { groups } = parse(read('prometheus', 'perennial.rules.yml')) as Rules
  for (const { alert, annotations } of groups.flatMap(({ rules }) => rules))
    assert.ok(existsSync(join(root, annotations.runbook)), `${alert}: ${annotations.runbook}`)
})

test('every metric that rules and dashboard name is one that the platform has', async () => {
  const sources = ['src/api/metrics.ts', 'src/api/platform-metrics.ts'].flatMap((path) =>
    sourcesOf(join(root, path)),
  )
  const own = new Set([...sources.join('\n').matchAll(/'(perennial_[a-z_]+)'/g)].map(([, name = '']) => name))
  const metrics = new Metrics({ version: '0' })
  const defaults = new Set((await metrics.registry.getMetricsAsJSON()).map(({ name }) => name))
  const text = read('prometheus', 'perennial.rules.yml') + read('grafana', 'perennial.json')
  const named = new Set(
    [...text.matchAll(/\b((?:perennial|nodejs|process)_[a-z0-9_]+)/g)].map(([, name = '']) =>
      name.replace(/_(bucket|count)$/, ''),
    ),
  )
  assert.ok(named.size > 6)
  for (const name of named) assert.ok(own.has(name) || defaults.has(name), name)
})

function sourcesOf(path: string): string[] {
  if (!existsSync(path)) return []
  if (path.endsWith('.ts')) return [readFileSync(path, 'utf8')]
  const names = readdirSync(path).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  return names.map((name) => readFileSync(join(path, name), 'utf8'))
}

test('systemd takes the unit, and little is left open', { skip: missing('systemd-analyze') }, async () => {
  const unit = join(deploy, 'systemd', 'perennial.service')
  const security = await run('systemd-analyze', ['security', '--offline=true', '--threshold=20', unit])
  assert.equal(security.exitCode, 0, security.stdout.toString())
})

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly secrets?: readonly string[]
        readonly volumes?: readonly string[]
        readonly depends_on?: object
      }
    >
  >
  readonly secrets: object
  readonly volumes: object
}

test('the compose file names only services, secrets and volumes that there are', () => {
  const { services, secrets, volumes } = parse(read('docker', 'docker-compose.yml')) as Compose
  for (const [name, service] of Object.entries(services)) {
    for (const secret of service.secrets ?? [])
      assert.ok(Object.hasOwn(secrets, secret), `${name}: ${secret}`)
    for (const other of Object.keys(service.depends_on ?? {}))
      assert.ok(Object.hasOwn(services, other), other)
    for (const volume of service.volumes ?? []) {
      const [source = ''] = volume.split(':')
      assert.ok(source.startsWith('.') || Object.hasOwn(volumes, source), `${name}: ${volume}`)
    }
  }
})

interface Manifest {
  readonly kind: string
  readonly spec: {
    readonly ports?: readonly { readonly targetPort: string }[]
    readonly template?: {
      readonly spec: {
        readonly containers: readonly [
          {
            readonly ports: readonly { readonly name: string }[]
            readonly volumeMounts: readonly { readonly name: string }[]
          },
        ]
        readonly volumes: readonly { readonly name: string }[]
      }
    }
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
  }
}

test('the templates of the chart are YAML when filled in, and their ports and volumes fit', () => {
  const values = parse(read('helm', 'perennial', 'values.yaml')) as Record<string, unknown>
  const filled = (name: string, given: object): Manifest => {
    const text = fillTemplate(read('helm', 'perennial', 'templates', name), { ...values, ...given })
    assert.doesNotMatch(text, /\{\{/)
    const [document, ...others] = parseAllDocuments(text)
    assert.equal(others.length, 0)
    assert.deepEqual(document?.errors, [], text)
    return document?.toJS() as Manifest
  }
  const set = filled('statefulset.yaml', { env: { PERENNIAL_LOG__LEVEL: 'warn' } })
  filled('statefulset.yaml', { storage: { size: '5Gi', className: 'fast' } })
  const pod = set.spec.template?.spec
  const [container] = pod?.containers ?? []
  const ports = new Set(container?.ports.map(({ name }) => name))
  for (const { targetPort } of filled('service.yaml', {}).spec.ports ?? [])
    assert.ok(ports.has(targetPort), targetPort)
  const volumes = new Set([
    ...(pod?.volumes ?? []).map(({ name }) => name),
    ...(set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name),
  ])
  for (const { name } of container?.volumeMounts ?? []) assert.ok(volumes.has(name), name)
})

/** As much of Helm's language as the chart uses: values, quote, printf of two, toYaml with nindent, one range, one if. */
function fillTemplate(template: string, values: Readonly<Record<string, unknown>>): string {
  const valueOf = (path: string): unknown =>
    path === '.Release.Name'
      ? 'perennial'
      : path
          .replace(/^\.Values\./, '')
          .split('.')
          .reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], values)
  return template
    .replace(
      /[ ]*\{\{- range \$name, \$value := (\S+) \}\}\n([\s\S]*?)[ ]*\{\{- end \}\}\n/g,
      (_, path: string, body: string) =>
        Object.entries(valueOf(path) as object)
          .map(([name, value]) =>
            body.replace('{{ $name }}', name).replace('{{ $value | quote }}', JSON.stringify(value)),
          )
          .join(''),
    )
    .replace(/[ ]*\{\{- if (\S+) \}\}\n([\s\S]*?)[ ]*\{\{- end \}\}\n/g, (_, path: string, body: string) =>
      valueOf(path) ? body : '',
    )
    .replace(
      /\{\{- toYaml (\S+) \| nindent (\d+) \}\}/g,
      (_, path: string) => ` ${JSON.stringify(valueOf(path))}`,
    )
    .replace(/\{\{ printf "%s:%s" (\S+) (\S+) \| quote \}\}/g, (_, a: string, b: string) =>
      JSON.stringify(`${String(valueOf(a))}:${String(valueOf(b))}`),
    )
    .replace(/\{\{ (\S+) \| quote \}\}/g, (_, path: string) => JSON.stringify(valueOf(path)))
    .replace(/\{\{ (\S+) \}\}/g, (_, path: string) => String(valueOf(path)))
}
