import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { dayMs, secondMs } from './base/clock.ts'
import { Refusal } from './base/errors.ts'
import { checkConfig, defaultConfig, loadConfig, type CheckedConfig, type Environment } from './config.ts'
import { defaultsYaml, effectiveKeys, effectiveYaml } from './config/print.ts'

const folder = mkdtempSync(join(tmpdir(), 'perennial-config-'))

function fileWith(yaml: string): string {
  const file = join(folder, 'perennial.yaml')
  writeFileSync(file, yaml)
  return file
}

async function check(yaml: string, env: Environment = {}): Promise<CheckedConfig> {
  return await checkConfig({ file: fileWith(yaml), env })
}

async function problemsOf(yaml: string, env: Environment = {}): Promise<string[]> {
  return (await check(yaml, env)).problems.map(({ where, message }) => `${where}: ${message}`)
}

test('is the default without file and variables', async () => {
  const { est, status, admin, database, profiles } = await defaultConfig()
  assert.deepEqual([est.host, est.port], ['0.0.0.0', 8443])
  assert.deepEqual([status.host, status.port], ['0.0.0.0', 8080])
  assert.deepEqual([admin.host, admin.port], ['127.0.0.1', 8090])
  assert.equal(database.url, null)
  assert.equal(est.headersTimeoutMs, 20 * secondMs)
  assert.deepEqual(
    [...profiles.keys()],
    ['consumer', 'industrial', 'meter', 'gateway', 'matter-dac', 'short-lived'],
  )
})

test('reads the file, and variables win over it', async () => {
  const yaml = 'est:\n  port: 9443\n  names: [est.example.com]\nlog:\n  level: warn\n'
  const { config, problems, origins } = await check(yaml, { PERENNIAL_EST__PORT: '9444' })
  assert.deepEqual(problems, [])
  assert.equal(config.est.port, 9444)
  assert.deepEqual(config.est.names, ['est.example.com'])
  assert.equal(config.log.level, 'warn')
  assert.equal(origins.get('est.port'), 'PERENNIAL_EST__PORT')
  assert.equal(origins.get('est.names'), 'perennial.yaml:3')
  assert.equal(origins.get('status.port'), undefined)
})

test('refuses an unknown key with its line and what was meant', async () => {
  assert.deepEqual(await problemsOf('\n\nest:\n  prot: 1\n'), [
    'perennial.yaml:4: unknown key est.prot; did you mean port?',
  ])
  assert.deepEqual(await problemsOf('organisation: Acme\n'), [
    'perennial.yaml:1: unknown key organisation; did you mean organization?',
  ])
  assert.deepEqual(await problemsOf('port: 1\n'), [
    'perennial.yaml:1: unknown key port; did you mean est.port or status.port or admin.port or mqtt.port?',
  ])
  assert.deepEqual(await problemsOf('est:\n  zzz: 1\n'), ['perennial.yaml:2: unknown key est.zzz'])
})

const outOfRange: readonly [string, string][] = [
  ['est: { port: 0 }', 'est.port must be a whole number from 1 to 65535, not 0'],
  ['est: { port: 65536 }', 'est.port must be a whole number from 1 to 65535, not 65536'],
  ['est: { port: 1.5 }', 'est.port must be a whole number from 1 to 65535, not 1.5'],
  ['est: { port: "8443" }', 'est.port must be a whole number from 1 to 65535, not "8443"'],
  ['est: { headersTimeout: 121s }', 'est.headersTimeout must be from 1s to 2m, not "121s"'],
  [
    'est: { headersTimeout: 5 }',
    'est.headersTimeout must be a duration like 30s, 5m, 12h, 90d or 3y, from 1s to 2m, not 5',
  ],
  ['admin: { insecureExpose: yes }', 'admin.insecureExpose must be true or false, not "yes"'],
  [
    'log: { level: wran }',
    'log.level must be one of debug, info, warn, error, silent, not "wran"; did you mean warn?',
  ],
  ['organization: ""', 'organization must be a text that is not empty, not ""'],
  ['organization: 7', 'organization must be a text (in quotes when it looks like a number), not 7'],
  ['est: [1]', 'est must be a section of keys, not [1]'],
  ['- 1', 'the configuration must be a section of keys, not [1]'],
  [
    'serve: { roles: [est, ets] }',
    'serve.roles must be a list of est, status, mqtt, api, jobs, not ["est","ets"]; did you mean est?',
  ],
]
for (const [yaml, message] of outOfRange) {
  test(`refuses ${yaml}`, async () => {
    assert.deepEqual(await problemsOf(yaml), [`perennial.yaml:1: ${message}`])
  })
}

for (const yaml of [
  'est: { port: 1 }',
  'est: { port: 65535 }',
  'est: { headersTimeout: 2m, requestTimeout: 2m }',
  'crl: { period: 84h }',
]) {
  test(`accepts ${yaml}`, async () => {
    assert.deepEqual(await problemsOf(yaml), [])
  })
}

test('accepts at most 64 characters of organization, counted as X.520 counts', async () => {
  assert.deepEqual(await problemsOf(`organization: ${'ü'.repeat(64)}`), [])
  assert.equal((await problemsOf(`organization: ${'ü'.repeat(65)}`)).length, 1)
})

test('refuses what is not YAML, and a key given twice, with the line', async () => {
  assert.match((await problemsOf('est:\n  port: [1\n'))[0] ?? '', /^perennial\.yaml:3: /)
  assert.match((await problemsOf('est:\n  port: 1\n  port: 2\n'))[0] ?? '', /^perennial\.yaml:3: .*unique/)
})

test('refuses an alias bomb', async () => {
  const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i}, `.repeat(9)}]`)
  assert.match((await problemsOf(`l0: &l0 [a]\n${levels.join('\n')}\n`))[0] ?? '', /alias/i)
})

const contradictions: readonly [string, RegExp][] = [
  ['admin: { host: 0.0.0.0 }', /^perennial\.yaml:1: admin\.host 0\.0\.0\.0 is not loopback/],
  ['est: { clientCertHeader: true }', /needs est\.proxyFingerprint/],
  [`est: { proxyFingerprint: ${'a'.repeat(64)} }`, /has no effect without est\.clientCertHeader/],
  ['status: { port: 8443 }', /^perennial\.yaml:1: est\.port and status\.port are both 8443/],
  ['crl: { period: 4d }', /crl\.lifetime is shorter than two/],
  ['est: { requestTimeout: 19s }', /est\.requestTimeout is shorter than est\.headersTimeout/],
  ['mqtt: { port: 8443 }', /^perennial\.yaml:1: est\.port and mqtt\.port are both 8443/],
  ['mqtt: { broker: external }', /^perennial\.yaml:1: mqtt\.broker: external needs mqtt\.url/],
  [
    'mqtt: { broker: external, url: "mqtts://b:8883", caFile: ca.pem, certificateFile: c.pem }',
    /needs mqtt\.keyFile/,
  ],
  ['mqtt: { url: "mqtts://b:8883" }', /mqtt\.url has no effect/],
  ['serve: { roles: [] }', /serve\.roles is empty/],
  ['est: { names: ["-x.example"] }', /neither a DNS name nor an IP address/],
]
for (const [yaml, message] of contradictions) {
  test(`refuses the contradiction ${yaml}`, async () => {
    const problems = await problemsOf(yaml)
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', message)
  })
}

test('allows an admin host that is not loopback when it is said to be meant', async () => {
  assert.deepEqual(await problemsOf('admin: { host: 0.0.0.0, insecureExpose: true }'), [])
  assert.deepEqual(await problemsOf('admin: { host: 127.0.0.2 }'), [])
  assert.deepEqual(await problemsOf('admin: { port: 8443, host: 127.0.0.1 }\nest: { host: 127.0.0.2 }'), [])
})

test('variables match keys whatever their case and word breaks', async () => {
  const { config, problems } = await check('', {
    PERENNIAL_EST__MAXCONNECTIONS: '20',
    PERENNIAL_ENROLLMENT__SECRET_LIFETIME: '2d',
    PERENNIAL_SERVE__ROLES: 'est, jobs',
    PERENNIAL_EST__CLIENTCERTHEADER: 'false',
    PERENNIAL_PROFILES__SHORT_LIVED__VALIDITY: '6d',
  })
  assert.deepEqual(problems, [])
  assert.equal(config.est.maxConnections, 20)
  assert.equal(config.enrollment.secretLifetimeMs, 2 * dayMs)
  assert.deepEqual(config.serve.roles, ['est', 'jobs'])
  assert.equal(config.profiles.get('short-lived')?.validityMs, 6 * dayMs)
})

test('refuses an unknown variable, and suggests the right one', async () => {
  assert.deepEqual(await problemsOf('', { PERENNIAL_EST_PORT: '9443' }), [
    'PERENNIAL_EST_PORT: unknown variable; did you mean PERENNIAL_EST__PORT?',
  ])
  assert.deepEqual(await problemsOf('', { PERENNIAL_EST__PORT: 'x' }), [
    'PERENNIAL_EST__PORT: est.port must be a whole number from 1 to 65535, not "x"',
  ])
})

test('leaves variables that Kubernetes sets for a service of our name alone', async () => {
  const env = {
    PERENNIAL_SERVICE_HOST: '10.0.0.1',
    PERENNIAL_SERVICE_PORT_EST: '8443',
    PERENNIAL_PORT: 'tcp://10.0.0.1:8443',
    PERENNIAL_EST_PORT: 'tcp://10.0.0.1:8443',
    PERENNIAL_PORT_8443_TCP_ADDR: '10.0.0.1',
  }
  assert.deepEqual(await problemsOf('', env), [])
})

test('reads a secret from a file, and never says it', async () => {
  const file = join(folder, 'url')
  writeFileSync(file, 'postgres://u:hunter2@db/perennial\n')
  const { config } = await check('', { DATABASE_URL_FILE: file })
  assert.equal(config.database.url, 'postgres://u:hunter2@db/perennial')
  const wrong = await problemsOf('', { DATABASE_URL: 'mysql://u:hunter2@db/x' })
  assert.equal(wrong.length, 1)
  assert.doesNotMatch(wrong[0] ?? '', /hunter2/)
  const twice = await problemsOf('', { DATABASE_URL_FILE: file, PERENNIAL_DATABASE__URL: 'postgres://other' })
  assert.match(twice[0] ?? '', /contradicts PERENNIAL_DATABASE__URL/)
  assert.doesNotMatch(twice[0] ?? '', /hunter2/)
  assert.match((await problemsOf('', { PERENNIAL_DATABASE__URL_FILE: '/no/file' }))[0] ?? '', /cannot read/)
  assert.match((await problemsOf('', { PERENNIAL_EST__PORT_FILE: file }))[0] ?? '', /unknown variable/)
})

test('a profile named like a default one changes it and keeps the rest', async () => {
  const before = (await defaultConfig()).profiles.get('consumer')
  const { config } = await check('profiles: { consumer: { validity: 1y } }')
  const after = config.profiles.get('consumer')
  assert.equal(after?.validityMs, 365 * dayMs)
  assert.equal(after?.renewBeforeMs, before?.renewBeforeMs)
  assert.notEqual(after?.contentHash, before?.contentHash)
})

test('a new profile may extend another, over several steps', async () => {
  const yaml = 'profiles:\n  a: { extends: b, approval: manual }\n  b: { extends: meter, jitter: 0 }\n'
  const { config, problems } = await check(yaml)
  assert.deepEqual(problems, [])
  const meter = config.profiles.get('meter')
  const profile = config.profiles.get('a')
  assert.deepEqual([profile?.approval, profile?.jitterMs], ['manual', 0])
  assert.equal(profile?.validityMs, meter?.validityMs)
  assert.equal(profile?.name, 'a')
})

test('a profile may be without end and without renewal, or switched off', async () => {
  const { config, problems } = await check(
    'profiles:\n  consumer: { enabled: false }\n  x: { issuer: issuing, validity: unlimited, renewBefore: never }\n',
  )
  assert.deepEqual(problems, [])
  assert.equal(config.profiles.has('consumer'), false)
  assert.deepEqual(
    [config.profiles.get('x')?.validityMs, config.profiles.get('x')?.renewBeforeMs],
    [null, null],
  )
})

test('refuses profiles that name what is not there', async () => {
  const yaml = [
    'profiles:',
    '  a: { extends: consumr }',
    '  b: { extends: c }',
    '  c: { extends: b }',
    '  d: { validity: 1y }',
    '  E: { extends: meter }',
    '  meter: { connectivity: weekyl }',
    '  gateway: { validty: 1y }',
  ].join('\n')
  assert.deepEqual(await problemsOf(yaml), [
    'perennial.yaml:2: unknown profile consumr; did you mean consumer?',
    'perennial.yaml:3: profiles.b extends itself: b → c → b',
    'perennial.yaml:5: profiles.d needs issuer, renewBefore, or extends: with the name of another profile',
    'perennial.yaml:6: profiles.E: a name has 1 to 64 of a-z, 0-9 and -',
    'perennial.yaml:7: unknown connectivity profile weekyl; did you mean weekly?',
    'perennial.yaml:8: unknown key profiles.gateway.validty; did you mean validity?',
  ])
})

test('loadConfig refuses with the first problem and says how many more there are', async () => {
  await assert.rejects(loadConfig({ file: fileWith('a: 1\nb: 2\n'), env: {} }), (error) => {
    assert.ok(error instanceof Refusal)
    assert.equal(error.code, 'configuration-invalid')
    assert.equal(error.message, 'perennial.yaml:1: unknown key a (and 1 more: perennial config check)')
    return true
  })
})

test('the commented default file means the defaults, and so does it with every comment removed', async () => {
  const asWritten = await check(defaultsYaml())
  const plain = await defaultConfig()
  assert.deepEqual(asWritten.problems, [])
  assert.deepEqual(asWritten.config, plain)
  const uncommented = await check(defaultsYaml().replace(/^( *)# ( *[a-z][A-Za-z0-9-]*:( .*)?)$/gm, '$1$2'))
  assert.deepEqual(uncommented.problems, [])
  assert.deepEqual(uncommented.config, plain)
  assert.ok(uncommented.origins.size > 60)
})

test('what is printed as in force is read back as the same configuration, with secrets masked', async () => {
  const yaml = 'est: { port: 9443 }\nprofiles: { own: { extends: consumer, description: "a: b # c" } }\n'
  const { config, origins } = await check(yaml, { DATABASE_URL: 'postgres://u:hunter2@db/x' })
  const printed = effectiveYaml(effectiveKeys(config, origins))
  assert.doesNotMatch(printed, /hunter2/)
  const again = await check(printed.replace(/url: .*\*.*/, 'url: "postgres://u:hunter2@db/x"'))
  assert.deepEqual(again.problems, [])
  assert.deepEqual(again.config, config)
})
