/** The command line from another machine: it has an address and a token, and no data directory. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, suite, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { oids } from '../../src/pki/oid.ts'
import { createCa } from '../helpers/ca.ts'
import { freePorts } from '../helpers/checkout.ts'
import { perennial, startPerennial, temporaryFolder, type Outcome } from '../helpers/perennial.ts'

suite('from another machine', () => {
  const folder = temporaryFolder()
  const home = join(folder, 'config')
  const contexts = join(home, 'perennial', 'contexts.json')
  let local: Record<string, string>
  let serving: ChildProcess
  let url: string
  let token: string

  const here = async (...args: string[]): Promise<Outcome> =>
    await perennial(args, { cwd: folder, env: local })
  const there = async (args: readonly string[], input = '', env = {}): Promise<Outcome> =>
    await perennial(args, { cwd: folder, env: { XDG_CONFIG_HOME: home, ...env }, input })
  const json = async (...args: string[]) => JSON.parse((await there([...args, '--json'])).stdout)

  before(async () => {
    const [est, status, admin, mqtt] = await freePorts(4)
    local = {
      PERENNIAL_DATA: join(folder, 'data'),
      PERENNIAL_EST__PORT: String(est),
      PERENNIAL_STATUS__PORT: String(status),
      PERENNIAL_ADMIN__PORT: String(admin),
      PERENNIAL_MQTT__PORT: String(mqtt),
    }
    assert.equal((await here('init')).exitCode, 0)
    serving = startPerennial(['serve', '--json'], { cwd: folder, env: local })
    assert.ok(serving.stdout)
    let said = ''
    for await (const line of createInterface(serving.stdout)) {
      said += line
      if (line === '}') break
    }
    url = JSON.parse(said).endpoints.admin
    for (const id of ['S-1', 'S-2', 'S-3'])
      assert.equal((await here('device', 'add', id, '--profile', 'gateway', '--site', 'kl')).exitCode, 0)
    const oidc = ['--oidc', 'https://id.example.com/robot']
    const added = await here('operator', 'add', 'robot', '--role', 'operator', ...oidc)
    assert.equal(added.exitCode, 0, added.stderr)
    const made = await here('token', 'create', 'ci', '--operator', 'robot', '--role', 'operator')
    token = made.stdout.trim().split('\n').at(-1) ?? ''
    writeFileSync(join(folder, 'token.txt'), made.stdout)
  })
  after(() => void serving?.kill('SIGKILL'))

  test('without a login it says what to do; a wrong token and a wrong way are refused', async () => {
    const unknown = await there(['api', 'getSession'])
    assert.equal(unknown.exitCode, 7)
    assert.match(unknown.stderr, /`perennial login URL`.*\(configuration-invalid\)/)
    const wrong = await there(['login', url, '--token-file', '-'], 'pt_wrong')
    assert.equal(wrong.exitCode, 4)
    assert.match(wrong.stderr, /\(unauthenticated\)/)
    const plain = await there(['login', 'http://pki.example.com', '--token-file', 'token.txt'])
    assert.equal(plain.exitCode, 3)
    assert.match(plain.stderr, /use https \(invalid-input\)/)
    const nobody = await there(['login', 'http://127.0.0.1:9', '--token-file', 'token.txt'])
    assert.equal(nobody.exitCode, 6)
    assert.match(nobody.stderr, /\(server-unreachable\)/)
    assert.deepEqual(await json('context', 'list'), [])
  })

  test('login keeps the token where nobody else reads it', async () => {
    const done = await there(['login', url, '--name', 'factory', '--token-file', 'token.txt'])
    assert.match(done.stdout, /as robot, until .*\. This is context factory now\./, done.stderr)
    assert.equal(statSync(contexts).mode & 0o777, 0o600)
    assert.equal(done.stdout.includes(token), false)
    assert.deepEqual(await json('context', 'list'), [{ name: 'factory', url, isCurrent: true }])
    chmodSync(contexts, 0o644)
    const readable = await there(['api', 'getSession'])
    chmodSync(contexts, 0o600)
    assert.equal(readable.exitCode, 7)
    assert.match(readable.stderr, /chmod 600/)
  })

  test('a list says what the local command says, page by page', async () => {
    const locally = JSON.parse((await here('device', 'list', '--json')).stdout)
    assert.equal(locally.length, 3)
    const listed: { readonly id: string; readonly issuer: string | null }[] = await json(
      'api',
      'listDevices',
      'limit=1',
    )
    // the one name that differs
    assert.deepEqual(
      listed.map(({ issuer, ...device }) => Object.assign(device, { issuerId: issuer })),
      locally,
    )
    const filtered = await json('api', 'listDevices', 'filter=site=kl id=S-2')
    assert.deepEqual(
      filtered.map(({ id }: { id: string }) => id),
      ['S-2'],
    )
    const table = await there(['api', 'listDevices'])
    assert.match(table.stdout, /^ID\tSTATE\tPROFILE\t.*EXPIRES AT/)
    assert.equal((await json('api', 'listDevices', '--limit', '2')).length, 2)
  })

  test('one device, an edit with its ETag, and a dry run that changes nothing', async () => {
    assert.equal((await json('api', 'getDevice', 'id=S-1')).id, 'S-1')
    const read = await there(['api', 'getDeviceRecord', 'id=S-1'])
    const etag = /ETag: (.*)/.exec(read.stderr)?.[1]
    assert.ok(etag, read.stderr)
    const edit = ['api', 'editDevice', 'id=S-1', '--body', '-']
    const body = JSON.stringify({ site: 'penang' })
    assert.match((await there(edit, body)).stderr, /\(precondition-required\)/)
    const dry = await there([...edit, 'dryRun=true', '--if-match', etag], body)
    assert.equal(dry.exitCode, 0, dry.stderr)
    assert.equal((await json('api', 'getDevice', 'id=S-1')).site, 'kl')
    assert.equal((await there([...edit, '--if-match', etag], body)).exitCode, 0)
    assert.equal((await json('api', 'getDevice', 'id=S-1')).site, 'penang')
    assert.match((await there([...edit, '--if-match', etag], body)).stderr, /\(precondition-failed\)/)
  })

  test('what is wrong is said before the server is asked, by name', async () => {
    const cases = [
      [['api', 'listDevice'], 5, /did you mean listDevices\?/],
      [['api', 'listDevices', 'colour=red'], 3, /"colour=red": listDevices takes after, limit/],
      [['api', 'getDevice'], 3, /getDevice needs id=…/],
      [['api', 'getDevice', 'id=none'], 5, /\(not-found\)/],
      [['api', 'getSession', '--body', '-'], 3, /getSession takes no body/],
      [['api', 'addDevice', '--body', '-'], 3, /- is not JSON/],
      [['api', 'getSession', '--context', 'elsewhere'], 5, /there is factory/],
      [['context', 'use', 'elsewhere'], 5, /`perennial context list`/],
    ] as const
    for (const [args, exit, said] of cases) {
      const { exitCode, stderr } = await there(args, '{')
      assert.match(stderr, said)
      assert.equal(exitCode, exit, args.join(' '))
    }
  })

  test('the roles of the token hold', async () => {
    const refused = await there(['api', 'listOperators'])
    assert.equal(refused.exitCode, 4)
    assert.match(refused.stderr, /\(permission-missing\)/)
  })

  test('an export comes as it is', async () => {
    const { stdout, stderr } = await there(['api', 'exportDevices', 'format=csv'])
    assert.match(stdout, /^"?id/, stderr)
    assert.equal(stdout.trim().split('\n').length, 4)
  })

  test('the environment names a server for one command', async () => {
    const env = { PERENNIAL_URL: url, PERENNIAL_TOKEN: token, XDG_CONFIG_HOME: join(folder, 'none') }
    const { stdout } = await there(['api', 'getSession', '--json'], '', env)
    assert.equal(JSON.parse(stdout).operator, 'robot')
  })

  suite('over https', () => {
    const ca = createCa('CN=our own CA', systemClock.now())
    let proxy: Server

    before(async () => {
      const { pem, keyPem } = ca.issue({
        subject: 'CN=proxy',
        subjectAltNames: ['dns:localhost'],
        extendedKeyUsage: [oids.serverAuth],
      })
      proxy = createServer({ cert: pem, key: keyPem }, (request, response) => {
        const onward = httpRequest(`${url}${request.url}`, {
          method: request.method,
          headers: request.headers,
        })
        onward.on('response', (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(response)
        })
        request.pipe(onward)
      })
      await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve))
      mkdirSync(home, { recursive: true })
      writeFileSync(join(folder, 'ca.pem'), ca.pem)
    })
    after(() => void proxy.close())

    test('a CA of our own is believed where it is given, and kept with the context', async () => {
      const address = `https://localhost:${(proxy.address() as AddressInfo).port}`
      const login = ['login', address, '--token-file', 'token.txt']
      const unknown = await there(login)
      assert.equal(unknown.exitCode, 6)
      assert.match(unknown.stderr, /not trusted here: give its CA with --ca/)
      const done = await there([...login, '--ca', 'ca.pem'])
      assert.equal(done.exitCode, 0, done.stderr)
      assert.equal((await json('api', 'getSession')).operator, 'robot')
      assert.equal((await there(['context', 'use', 'factory'])).exitCode, 0)
      assert.equal((await there(['logout', 'localhost'])).exitCode, 0)
      assert.equal(/BEGIN CERTIFICATE/.test(readFileSync(contexts, 'utf8')), false)
      assert.deepEqual(Object.keys(JSON.parse(readFileSync(contexts, 'utf8')).contexts), ['factory'])
    })
  })
})
