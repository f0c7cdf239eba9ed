/**
 * `node bench/revoke.ts [devices]`: a batch of devices revoked, from the order to all shards published: state, certificate, case,
 * facts and cut of each device, in transactions of a hundred, on SQLite in a file.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256Hex } from '../src/base/bytes.ts'
import { stopwatch, systemClock } from '../src/base/clock.ts'
import type { DeviceId, IssuerId, SerialNumber } from '../src/base/id.ts'
import { crlHistory } from '../src/engine/revocation/crl.ts'
import { publishDue } from '../src/engine/revocation/crl-publish.ts'
import { orderRevocation, stepRevocation } from '../src/engine/revocation/revoke-batch.ts'
import { createIssuer } from '../src/engine/issuing/issuer.ts'
import { insertCertificates } from '../src/store/certificates.ts'
import { insertDevices } from '../src/store/devices.ts'
import { openStore } from '../src/store/open.ts'
import { sampleCertificate, sampleDevice } from '../test/conformance/store-samples.ts'
import { rootId, testActor, testEngine } from '../test/helpers/app.ts'

const count = Number(process.argv[2] ?? 100_000)
const shards = 64
const directory = mkdtempSync(join(tmpdir(), 'perennial-bench-revoke-'))
const rows: string[] = []

function timer(): () => { readonly ms: number; readonly cpuMs: number } {
  const elapsed = stopwatch()
  const before = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(before)
    return { ms: elapsed(), cpuMs: (user + system) / 1000 }
  }
}

function report(what: string, { ms, cpuMs }: { ms: number; cpuMs: number }, limit: string): void {
  const whole = (value: number): string => Math.round(value).toLocaleString('en-US')
  const each = `${((cpuMs * 1000) / count).toFixed(1)} µs each`
  rows.push(
    `${what.padEnd(44)}${whole(ms).padStart(9)} ms ${whole(cpuMs).padStart(8)} ms CPU ${each.padStart(16)}   ${limit}`,
  )
}

const store = await openStore({ url: `sqlite:${join(directory, 'perennial.db')}` })
await store.migrate()
const { engine, close } = await testEngine({ store, clock: systemClock })
const issuerId = 'sharded' as IssuerId
await createIssuer(engine, {
  id: issuerId,
  kind: 'intermediate',
  parentId: rootId,
  crlShards: shards,
  actor: testActor,
})
const now = systemClock.now()
const chunk = 5_000
for (let from = 0; from < count; from += chunk) {
  await store.transaction(async (tx) => {
    const numbers = Array.from({ length: Math.min(chunk, count - from) }, (_, at) => from + at)
    await insertDevices(
      tx,
      numbers.map((n) => Object.assign(sampleDevice(n), { batch: 'lost', state: 'active' as const })),
    )
    await insertCertificates(
      tx,
      numbers.map((n) =>
        sampleCertificate(n, {
          deviceId: sampleDevice(n).id as DeviceId,
          serialNumber: `01${n.toString(16).padStart(30, '0')}` as SerialNumber,
          issuerId,
          crlShard: n % shards,
          spkiHash: sha256Hex(`key ${n}`),
          notAfter: now + 365 * 86_400_000,
        }),
      ),
    )
  })
}
const issuer = await engine.issuers.find(issuerId)
if (!issuer) throw new Error('the issuer was made')
await publishDue(engine, issuer, { now: systemClock.now() })

const whole = timer()
const revoking = timer()
let batch = await orderRevocation(engine, {
  selection: { batch: 'lost' },
  reason: 'keyCompromise',
  actor: testActor,
})
while (batch.endedAt === null) batch = await stepRevocation(engine, batch.id)
report(`${batch.certificates.toLocaleString('en-US')} certificates revoked`, revoking(), '')
const publishing = timer()
const published = await publishDue(engine, issuer, { now: systemClock.now() })
report(`${published} CRLs published (${shards} shards)`, publishing(), '')
report('order to all shards published', whole(), 'under 10,000 ms for 100,000')
const listed = (await crlHistory(engine, issuerId)).filter(
  ({ kind, revision }) => kind === 'shard' && revision > 0,
)
const entries = listed.reduce((sum, crl) => sum + crl.entries, 0)
await close()
await store.close()
rmSync(directory, { recursive: true })
process.stdout.write(`Revoke a batch of ${count.toLocaleString('en-US')} devices\n\n${rows.join('\n')}\n`)
if (entries !== count) throw new Error(`${entries} entries in the shards, ${count} revoked`)
