/** The files of deploy/, each by its own validator where Debian has it. Helm is not in Debian: see engineSource. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { Metrics } from '../../src/api/metrics.ts'
import { freePorts } from '../helpers/checkout.ts'
import { testPassphrase } from '../helpers/installation.ts'
import { perennial, startPerennial, temporaryFolder } from '../helpers/perennial.ts'
import { missing, programPath } from '../helpers/require.ts'
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
  // it looks for the program: on a machine of tests Node.js is elsewhere
  const here = join(temporaryFolder(), 'perennial.service')
  writeFileSync(here, read('systemd', 'perennial.service').replaceAll('/usr/bin/node', process.execPath))
  const verified = await run('systemd-analyze', ['verify', here])
  assert.equal(
    verified.stderr
      .split('\n')
      .filter((line) => line.includes('perennial'))
      .join('\n'),
    '',
  )
  assert.equal(verified.exitCode, 0, verified.stderr)
  writeFileSync(here, `${readFileSync(here, 'utf8')}\n[Service]\nProtectSystme=yes\n`)
  assert.match((await run('systemd-analyze', ['verify', here])).stderr, /Unknown key.*ProtectSystme/)
})

test('docker-compose takes the compose file', { skip: missing('docker-compose') }, async () => {
  const file = join(deploy, 'docker', 'docker-compose.yml')
  const { exitCode, stdout, stderr } = await run('docker-compose', ['-f', file, 'config'])
  assert.equal(exitCode, 0, stderr)
  const { services } = parse(stdout.toString()) as Compose
  assert.deepEqual(Object.keys(services).sort(), ['mosquitto', 'perennial', 'postgres'])
  const wrong = join(temporaryFolder(), 'docker-compose.yml')
  writeFileSync(wrong, readFileSync(file, 'utf8').replace('read_only:', 'readonly:'))
  assert.notEqual((await run('docker-compose', ['-f', wrong, 'config', '-q'])).exitCode, 0)
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

/** hadolint is not in Debian and images are not built here: what would be wrong in silence is asked for. */
test('the image runs as nobody in particular, and holds no key and no history', () => {
  const lines = read('docker', 'Dockerfile').replaceAll('\\\n', ' ').split('\n')
  const of = (word: string): string[] =>
    lines.flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []))
  assert.deepEqual(of('USER'), ['node'])
  assert.ok(lines.indexOf('USER node') < lines.findIndex((line) => line.startsWith('ENTRYPOINT')))
  for (const base of of('FROM')) assert.match(base, /^node:\d+-[a-z-]+( AS build)?$/, 'no `latest`')
  for (const step of of('RUN').filter((each) => each.includes('npm')))
    assert.equal(step.match(/npm \w+/g)?.length, step.match(/--ignore-scripts/g)?.length, step)
  assert.deepEqual(of('EXPOSE'), ['8443 8080 8883'], 'not the admin port')
  const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n')
  for (const name of ['perennial-data', 'deploy', '.git', 'node_modules'])
    assert.ok(ignored.includes(name), name)
  const wanted = of('COPY')
    .filter((copy) => !copy.startsWith('--from'))
    .flatMap((copy) => copy.split(' ').slice(0, -1))
  for (const path of [
    ...wanted,
    'src',
    'web',
    'src/main.ts',
    'node_modules/vite/bin/vite.js',
    'web/vite.config.ts',
  ]) {
    assert.ok(existsSync(join(root, path)), path)
    if (!path.startsWith('node_modules')) assert.ok(!ignored.includes(path), `${path} is ignored`)
  }
})

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}

interface Manifest {
  readonly kind: string
  readonly spec: {
    readonly selector: object
    readonly ports?: readonly { readonly targetPort: string }[]
    readonly template?: {
      readonly metadata: { readonly labels: object }
      readonly spec: {
        readonly containers: readonly [
          {
            readonly env: readonly { readonly name: string; readonly value: string }[]
            readonly ports: readonly { readonly name: string }[]
            readonly volumeMounts: readonly { readonly name: string }[]
            readonly securityContext: object
            readonly startupProbe: Probe
            readonly livenessProbe: Probe
            readonly readinessProbe: Probe
          },
        ]
        readonly volumes: readonly { readonly name: string }[]
      }
    }
    readonly volumeClaimTemplates?: readonly {
      readonly metadata: { readonly name: string }
      readonly spec: { readonly storageClassName?: string }
    }[]
  }
}

test('the chart, rendered by the template engine that Helm has', { skip: missing('go') }, async () => {
  const values = parse(read('helm', 'perennial', 'values.yaml')) as Record<string, unknown>
  const folder = join(deploy, 'helm', 'perennial', 'templates')
  const templates = Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  )
  const engine = await buildEngine()
  const render = async (given: object): Promise<Map<string, Manifest>> => {
    const input = JSON.stringify({ templates, values: { ...values, ...given }, release: { Name: 'fleet' } })
    const { exitCode, stdout, stderr } = await run(engine, [], { input })
    assert.equal(exitCode, 0, stderr)
    const texts = Object.values(JSON.parse(stdout.toString()) as Record<string, string>)
    return new Map(texts.map((text) => [kindOf(text), one(text)]))
  }
  const plain = await render({ env: { PERENNIAL_LOG__LEVEL: 'warn' } })
  assert.deepEqual([...plain.keys()].sort(), ['Service', 'StatefulSet'])
  assertFits(plain)
  const env = plain.get('StatefulSet')?.spec.template?.spec.containers[0].env ?? []
  assert.deepEqual(env.at(-1), { name: 'PERENNIAL_LOG__LEVEL', value: 'warn' })
  const claim = (await render({ storage: { size: '5Gi', className: 'fast' } })).get('StatefulSet')
  assert.equal(claim?.spec.volumeClaimTemplates?.[0]?.spec.storageClassName, 'fast')
  const input = JSON.stringify({ templates, values: {}, release: { Name: 'fleet' } })
  assert.notEqual((await run(engine, [], { input })).exitCode, 0, 'a value that is missing is an error')
})

function one(text: string): Manifest {
  const [document, ...others] = parseAllDocuments(text)
  assert.equal(others.length, 0)
  assert.deepEqual(document?.errors, [], text)
  return document?.toJS() as Manifest
}

function kindOf(text: string): string {
  return one(text).kind
}

/** Names that Kubernetes knows (its API reference for v1): it drops others without a word. */
const known = {
  service: 'clusterIP externalTrafficPolicy loadBalancerSourceRanges ports selector sessionAffinity type',
  set: 'persistentVolumeClaimRetentionPolicy podManagementPolicy replicas selector serviceName template updateStrategy volumeClaimTemplates',
  pod: 'affinity automountServiceAccountToken containers dnsPolicy enableServiceLinks imagePullSecrets initContainers nodeSelector priorityClassName restartPolicy securityContext serviceAccountName terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes',
  container:
    'args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports readinessProbe resources securityContext startupProbe volumeMounts workingDir',
}

function assertKnown(what: keyof typeof known, object: object): void {
  const names = new Set(known[what].split(' '))
  for (const name of Object.keys(object)) assert.ok(names.has(name), `${what}.${name}`)
}

function assertFits(manifests: ReadonlyMap<string, Manifest>): void {
  const set = manifests.get('StatefulSet')
  const service = manifests.get('Service')
  const pod = set?.spec.template?.spec
  const container = pod?.containers[0]
  assert.ok(set && service && pod && container)
  assertKnown('set', set.spec)
  assertKnown('service', service.spec)
  assertKnown('pod', pod)
  assertKnown('container', container)
  const labels = set.spec.template?.metadata.labels ?? {}
  const chosen = [(set.spec.selector as { matchLabels: object }).matchLabels, service.spec.selector]
  for (const selector of chosen) assert.deepEqual(selector, labels)
  const ports = new Set(container.ports.map(({ name }) => name))
  assert.ok((service.spec.ports?.length ?? 0) === 3)
  for (const { targetPort } of service.spec.ports ?? []) {
    assert.ok(ports.has(targetPort), targetPort)
    assert.notEqual(targetPort, 'admin')
  }
  const probes = { startupProbe: '/startupz', livenessProbe: '/livez', readinessProbe: '/readyz' } as const
  for (const [probe, path] of Object.entries(probes))
    assert.deepEqual(container[probe as keyof typeof probes].httpGet, { path, port: 'admin' })
  const volumes = new Set([
    ...pod.volumes.map(({ name }) => name),
    ...(set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name),
  ])
  for (const { name } of container.volumeMounts) assert.ok(volumes.has(name), name)
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
}

/**
 * Helm is not in Debian; its templates are those of Go's text/template with functions beside it. Ours use three of these,
 * which are made here as Helm describes them; JSON is YAML.
 */
const engineSource = `package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

func main() {
	var in struct {
		Templates map[string]string
		Values    map[string]interface{}
		Release   map[string]interface{}
	}
	check(json.NewDecoder(os.Stdin).Decode(&in))
	functions := template.FuncMap{
		"quote": func(v interface{}) string { return fmt.Sprintf("%q", fmt.Sprint(v)) },
		"toYaml": func(v interface{}) (string, error) {
			text, err := json.Marshal(v)
			return string(text), err
		},
		"nindent": func(n int, s string) string {
			pad := strings.Repeat(" ", n)
			return "\\n" + pad + strings.ReplaceAll(s, "\\n", "\\n"+pad)
		},
	}
	out := map[string]string{}
	for name, text := range in.Templates {
		parsed, err := template.New(name).Funcs(functions).Option("missingkey=error").Parse(text)
		check(err)
		var b strings.Builder
		check(parsed.Execute(&b, map[string]interface{}{"Values": in.Values, "Release": in.Release}))
		out[name] = b.String()
	}
	check(json.NewEncoder(os.Stdout).Encode(out))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`

async function buildEngine(): Promise<string> {
  const folder = temporaryFolder()
  const source = join(folder, 'render.go')
  const program = join(folder, 'render')
  writeFileSync(source, engineSource)
  const env = { GO111MODULE: 'off', GOFLAGS: '', CGO_ENABLED: '0', HOME: process.env['HOME'] ?? folder }
  const built = await run(programPath('go'), ['build', '-o', program, source], { cwd: folder, env })
  assert.equal(built.exitCode, 0, built.stderr)
  return program
}
