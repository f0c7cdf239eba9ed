/** Certificates, authorities and the doctor on the command line: the real binary on one initialised data directory. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { dayMs, hourMs, systemClock } from '../../src/base/clock.ts'
import { createCa, type TestCa } from '../helpers/ca.ts'
import { perennial as runPerennial, temporaryFolder, type Outcome } from '../helpers/perennial.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')
let ca: TestCa

async function perennial(line: string | readonly string[], input?: string): Promise<Outcome> {
  const args = typeof line === 'string' ? line.split(' ') : line
  return await runPerennial(args, {
    cwd: folder,
    env: { PERENNIAL_DATA: data },
    ...(input === undefined ? {} : { input }),
  })
}

/** What it prints under --json. */
async function json(line: string): Promise<unknown> {
  const { exitCode, stdout, stderr } = await perennial(`${line} --json`)
  assert.equal(exitCode, 0, `${line}: ${stderr}`)
  return JSON.parse(stdout)
}

function write(name: string, content: string | Uint8Array): void {
  writeFileSync(join(folder, name), content)
}

suite('certificates on the command line', () => {
  before(async () => {
    const { exitCode, stderr } = await perennial([
      'init',
      '--organization',
      'Example Inc',
      '--name',
      'est.example.com',
    ])
    assert.equal(exitCode, 0, stderr)
    ca = createCa('CN=Old Factory CA,O=Example', systemClock.now())
  })

  suite('certificates', () => {
    test('of the CAs and the server are in the inventory, serials as lower-case hex, instants as ISO 8601', async () => {
      const list = (await json('cert list --issuer issuing')) as Record<string, string>[]
      const server = list.find(({ profile }) => profile === 'server')
      assert.match(String(server?.['serialNumber']), /^[0-9a-f]{32}$/)
      assert.match(String(server?.['notAfter']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      assert.ok(server?.['subjectAltNames']?.includes('dns:est.example.com'))
      const spelled = server?.['serialNumber']?.toUpperCase().match(/../g)?.join(':') ?? ''
      const shown = (await json(`cert show ${spelled}`)) as Record<string, string>
      assert.equal(shown['serialNumber'], server?.['serialNumber'])
      assert.match(String(shown['pem']), /^-----BEGIN CERTIFICATE-----/)
    })

    test('are exported, inspected, linted and verified', async () => {
      const [server] = (await json('cert list --issuer issuing --limit 1')) as Record<string, string>[]
      const exported = await perennial(`cert export ${server?.['serialNumber']} --chain --out server.pem`)
      assert.equal(exported.exitCode, 0, exported.stderr)
      const [first, second, third] = (await json('cert inspect server.pem')) as Record<string, string>[]
      assert.equal(first?.['serialNumber'], server?.['serialNumber'])
      assert.equal(second?.['subject'], 'CN=Issuing CA,O=Example Inc')
      assert.equal(third?.['subject'], 'CN=Root CA,O=Example Inc')
      assert.equal((await perennial('cert lint server.pem')).exitCode, 0)
      const good = (await json('cert verify server.pem --purpose serverAuth')) as { path: unknown[] }
      assert.equal(good.path.length, 3)
      const wrongUse = await perennial('cert verify server.pem --purpose clientAuth')
      assert.equal(wrongUse.exitCode, 3)
      assert.match(wrongUse.stderr, /\(path-invalid\)/)
      const tooLate = await perennial('cert verify server.pem --at 2099-01-01')
      assert.equal(tooLate.exitCode, 3)
    })

    test('of a stranger do not verify here, but against their own CA', async () => {
      write('stranger.pem', ca.issue({ subject: 'CN=X' }).pem)
      write('old-ca.pem', ca.pem)
      assert.equal((await perennial('cert verify stranger.pem')).exitCode, 3)
      assert.equal((await perennial('cert verify stranger.pem --anchors old-ca.pem')).exitCode, 0)
    })

    test('are inspected without an installation, as DER, base64 and PEM from standard input', async () => {
      const { pem, der } = ca.issue({ subject: 'CN=anywhere' })
      for (const input of [pem, Buffer.from(der).toString('base64')]) {
        const { stdout, exitCode } = await runPerennial(['cert', 'inspect', '--json'], { cwd: folder, input })
        assert.equal(exitCode, 0)
        assert.equal(JSON.parse(stdout)[0].subject, 'CN=anywhere')
      }
      write('any.der', der)
      assert.match((await perennial('cert inspect any.der')).stdout, /CN=anywhere/)
    })

    test('that are none are refused', async () => {
      write('not.pem', 'hello')
      const { exitCode, stderr } = await perennial('cert inspect not.pem')
      assert.equal(exitCode, 3)
      assert.match(stderr, /not\.pem is neither PEM nor DER/)
    })
  })

  suite('cert import', () => {
    test('takes a bundle of another CA, and counts what ends when', async () => {
      const now = systemClock.now()
      const fleet = Array.from({ length: 12 }, (_, i) =>
        ca.issue({ subject: `CN=OLD-${i}`, notAfter: now + (20 + i) * dayMs + hourMs }),
      )
      write(
        'old.pem',
        [
          `some text\n`,
          ...fleet.map(({ pem }) => pem),
          '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
        ].join(''),
      )
      const line = 'cert import old.pem --device-id-from subject.CN --register industrial'
      const dry = await perennial(`${line} --dry-run`)
      assert.equal(dry.stdout, '12 certificates would be added, 1 bad, named above.\n')
      const { exitCode, stdout, stderr } = await perennial(line)
      assert.equal(exitCode, 1)
      assert.match(stderr, /^old\.pem:\d+: /)
      assert.equal(stdout, '12 certificates added, 1 bad, named above.\n')
      const soon = (await json('cert list --expires-within 25d')) as { deviceId: string }[]
      assert.deepEqual(
        soon.map(({ deviceId }) => deviceId),
        ['OLD-0', 'OLD-1', 'OLD-2', 'OLD-3', 'OLD-4'],
      )
      const buckets = (await json('cert expiry --by day --count 60')) as { count: number }[]
      assert.equal(
        buckets.reduce((sum, { count }) => sum + count, 0),
        12,
      )
      assert.match((await perennial('cert expiry')).stdout, /12 live certificates end from .*\n$/)
      const due = (await json('cert needs-renewal')) as { deviceId: string }[]
      assert.ok(due.some(({ deviceId }) => deviceId === 'OLD-0'))
    })

    test('reads CSV with certificates in its cells, JSON Lines, DER and directories', async () => {
      await perennial('device import - --profile meter', '{"id":"C-1"}\n{"id":"C-2"}\n{"id":"C-3"}\n')
      const [a, b, c, d] = ['C-1', 'C-2', 'C-3', 'C-4'].map((name) => ca.issue({ subject: `CN=${name}` }))
      assert.ok(a && b && c && d)
      mkdirSync(join(folder, 'bag'), { recursive: true })
      write('bag/1.csv', `deviceId,certificate\nC-1,"${a.pem}"\nC-9,"${b.pem}"\n`)
      write(
        'bag/2.jsonl',
        `${JSON.stringify({ deviceId: 'C-2', certificate: Buffer.from(b.der).toString('base64') })}\n`,
      )
      write('bag/3.der', c.der)
      write('bag/4.pem', d.keyPem + d.pem)
      const { exitCode, stdout, stderr } = await perennial('cert import bag')
      assert.equal(stdout, '4 certificates added, 1 bad, named above.\n', stderr)
      assert.equal(exitCode, 1)
      assert.match(stderr, /bag\/1\.csv:\d+: device C-9 is not in the inventory/)
      const [ofDevice] = (await json('cert list --device C-2')) as Record<string, unknown>[]
      assert.equal(ofDevice?.['protocol'], 'import')
    })
  })

  suite('authorities and trust', () => {
    test('a CA is created, listed, shown and exported', async () => {
      assert.equal((await perennial('ca create intermediate second --validity 8y')).exitCode, 0)
      const list = (await json('ca list')) as { id: string; kind: string }[]
      assert.ok(list.some(({ id, kind }) => id === 'second' && kind === 'intermediate'))
      assert.match(
        (await perennial('ca export second --chain')).stdout,
        /(-----BEGIN CERTIFICATE-----[^]*){2}/,
      )
      const again = await perennial('ca create intermediate second')
      assert.equal(again.exitCode, 3)
      assert.match(again.stderr, /already-exists/)
      assert.equal((await perennial('ca create intermediate third --validity 100y')).exitCode, 3)
      assert.equal((await perennial('ca show nowhere')).exitCode, 5)
    })

    test('Matter gets its PAA and PAI, and the policy check is content then', async () => {
      const before_ = (await json('policy check')) as { ok: boolean; findings: { profile: string }[] }
      assert.ok(before_.findings.some(({ profile }) => profile === 'matter-dac'))
      assert.equal((await perennial('ca create paa --vendor-id fff1')).exitCode, 0)
      assert.equal((await perennial('ca create pai --vendor-id FFF1')).exitCode, 0)
      const after_ = (await json('policy check')) as { findings: { profile: string; rule: string }[] }
      assert.deepEqual(
        after_.findings.filter(({ rule }) => rule === 'issuer-exists'),
        [],
      )
    })

    test('a manufacturer CA is trusted, listed and removed', async () => {
      write('factory.pem', ca.pem)
      const added = await perennial([
        'trust',
        'add',
        'factory.pem',
        '--name',
        'Old factory',
        '--device-id',
        'subject.CN',
        '--json',
      ])
      assert.equal(added.exitCode, 0, added.stderr)
      const { id } = JSON.parse(added.stdout)
      assert.equal(((await json('trust list')) as unknown[]).length, 1)
      assert.equal((await perennial(`trust remove ${id}`)).exitCode, 0)
      assert.equal((await perennial(`trust remove ${id}`)).exitCode, 5)
    })
  })
})

// after all others: it breaks the installation on purpose
test('doctor finds an installation in order, and a rolled-back passphrase file, open keys and an old checkpoint', async () => {
  const healthy = (await json('doctor')) as { ok: boolean; checks: { check: string; status: string }[] }
  assert.equal(healthy.ok, true)
  assert.equal(healthy.checks.find(({ check }) => check === 'CA keys')?.status, 'ok')
  const key = join(data, 'est-server.key')
  chmodSync(key, 0o644)
  const open = (await json('doctor')) as { checks: { check: string; status: string; fix: string }[] }
  assert.match(
    open.checks.find(({ check }) => check === 'File permissions')?.fix ?? '',
    /chmod go= .*est-server\.key/,
  )
  chmodSync(key, 0o600)
  const checkpoint = join(data, 'audit-checkpoint')
  const before_ = readFileSync(checkpoint)
  writeFileSync(checkpoint, before_.toString().replace(/\n\d+\n/, '\n9999\n'))
  const { exitCode, stdout } = await perennial('doctor --json')
  writeFileSync(checkpoint, before_)
  assert.equal(exitCode, 1)
  const { checks } = JSON.parse(stdout) as { checks: { check: string; status: string }[] }
  assert.equal(checks.find(({ check }) => check === 'Audit log')?.status, 'fail')
})
