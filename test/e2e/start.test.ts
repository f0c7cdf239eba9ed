/** What README.md promises to a person with a fresh machine: `npm start` on a clean clone, then the tour by copy and paste. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { minuteMs, secondMs } from '../../src/base/clock.ts'
import {
  cleanClone,
  freePorts,
  kill,
  start,
  whyNoCheckout,
  type Checkout,
  type Running,
} from '../helpers/checkout.ts'
import { missing } from '../helpers/require.ts'

const skip = whyNoCheckout() ?? missing('curl', 'openssl')

suite('npm start on a clean clone', { skip }, () => {
  let checkout: Checkout
  let platform: Running
  let ports: { est: number; status: number; admin: number }
  let fingerprint: string

  before(async () => {
    const [est = 0, status = 0, admin = 0, mqtt = 0] = await freePorts(4)
    ports = { est, status, admin }
    checkout = await cleanClone({
      PERENNIAL_EST__PORT: String(est),
      PERENNIAL_STATUS__PORT: String(status),
      PERENNIAL_ADMIN__PORT: String(admin),
      PERENNIAL_MQTT__PORT: String(mqtt),
    })
  })
  after(() => {
    if (platform) kill(platform)
    checkout?.remove()
  })

  /** Runs lines in a shell of the person's, in the clone. @returns what they printed; fails the test when they fail */
  async function type(lines: string): Promise<string> {
    const options = { cwd: checkout.directory, env: checkout.env, timeout: minuteMs }
    try {
      const { stdout, stderr } = await promisify(execFile)('sh', ['-eu', '-c', lines], options)
      return stdout + stderr
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
      assert.fail(`${lines}\nfailed (${(error as Error).message}) and printed:\n${stdout}${stderr}`)
    }
  }

  /** The blocks of the README that are marked as its tour, with the port of this test. */
  function tour(): string[] {
    const readme = readFileSync(join(checkout.directory, 'README.md'), 'utf8')
    const blocks = [...readme.matchAll(/<!-- tour -->\n```sh\n([\s\S]*?)```/g)].map(
      (match) => match[1] as string,
    )
    assert.equal(blocks.length, 3, 'the README has three blocks of lines to copy')
    return blocks.map((block) => block.replaceAll('localhost:8443', `localhost:${ports.est}`))
  }

  async function startPlatform(ms: number): Promise<string> {
    platform = start(checkout, 'npm', ['start'])
    await platform.says(/cert list --expires-within.*\n/, ms)
    const output = platform.output()
    for (const port of Object.values(ports)) assert.match(output, new RegExp(`:${port}\\b`), output)
    return (/\b(?:[0-9A-F]{2}:){31}[0-9A-F]{2}\b/i.exec(output) ??
      assert.fail(`no fingerprint:\n${output}`))[0]
  }

  test('comes up within three minutes, and says where it listens and what the root is', async () => {
    fingerprint = await startPlatform(3 * minuteMs)
  })

  test('the lines that it prints to be copied work as they are', async () => {
    const lines = platform
      .output()
      .split('\n')
      .map((line) => line.replace(/^[\s$]+/, ''))
      .filter((line) => /^(?:\.\/perennial|curl|openssl)\s/.test(line))
    assert.ok(lines.length >= 3, `three lines to copy:\n${platform.output()}`)
    await type(lines.join('\n'))
  })

  test('a device enrols with curl and openssl by the lines of the README', async () => {
    const [enrol = ''] = tour()
    assert.match(await type(enrol), /press-7\.pem: OK/)
    const text = await type(
      'openssl x509 -in press-7.pem -noout -subject -ext subjectAltName,extendedKeyUsage',
    )
    assert.match(text, /CN ?= ?press-7/)
    assert.match(text, /URI:urn:perennial:device:press-7/)
    assert.match(text, /TLS Web Client Authentication/)
    const root = await type('openssl x509 -in root.pem -noout -fingerprint -sha256')
    assert.ok(root.toUpperCase().includes(fingerprint.toUpperCase()), `${root} is not ${fingerprint}`)
  })

  test('the platform knows the device, and says when a renewal may come', async () => {
    const [, look = '', renew = ''] = tour()
    const seen = await type(look)
    assert.match(seen, /press-7/)
    assert.match(seen, /certificate\.issued/)
    assert.match(await type(renew), /renewal.*20\d\d-\d\d-\d\d/)
  })

  test('nobody gets a certificate with a wrong secret', async () => {
    const lines = `openssl base64 -A -in press-7.csr |
      curl --silent --output /dev/null --write-out '%{http_code}' --cacert root.pem --user press-7:worthless \\
      --header 'Content-Type: application/pkcs10' --data-binary @- \\
      https://localhost:${ports.est}/.well-known/est/simpleenroll`
    assert.equal(await type(lines), '401')
  })

  test('its campaign goes from the canary to the field list, and old certificates are retired', async () => {
    await platform.says(
      /campaign demo \(wave 2 done\), 30 valves: (?:\d+ confirmed, )?\d+ retired, 3 escalated\n/,
      4 * minuteMs,
    )
    const said = platform.output()
    const opened = ['canary open', 'wave 1 open', 'wave 2 open'].map((words) => said.indexOf(words))
    assert.ok(
      opened.every((at, wave) => at > (opened[wave - 1] ?? 0)),
      said,
    )
    const field = JSON.parse(await type('./perennial field list --json')) as { deviceId: string }[]
    assert.deepEqual(field.map(({ deviceId }) => deviceId).sort(), [
      'demo-valve-028',
      'demo-valve-029',
      'demo-valve-030',
    ])
    assert.match(await type('./perennial device why demo-valve-029'), /field list/)
  })

  test('stops gracefully at SIGTERM, and everything is there after the next start', async () => {
    const inventory = JSON.parse(await type('./perennial cert list --json')) as unknown[]
    assert.equal(await platform.stop('SIGTERM', 30 * secondMs), 0, platform.output())

    assert.equal(await startPlatform(minuteMs), fingerprint)
    assert.doesNotMatch(platform.output(), /installing/)
    const now = JSON.parse(await type('./perennial cert list --json')) as unknown[]
    assert.equal(now.length, inventory.length)
    await type('./perennial audit verify')
    assert.match(await type(tour()[2] as string), /renewal.*20\d\d-\d\d-\d\d/)
    assert.equal(await platform.stop('SIGINT', 30 * secondMs), 0, platform.output())
    await type('./perennial doctor')
  })

  test('leaves the checkout as git knows it', async () => {
    const changed = (await type('git status --porcelain'))
      .split('\n')
      .filter((line) => line !== '' && !/^\?\? (?:press-7|device|root|issuing)\./.test(line))
    assert.deepEqual(changed, [])
  })
})
