/** `node bench/audit.ts [facts]`: how fast facts are hashed, recorded, sealed, verified and exported. */
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stopwatch, systemClock } from '../src/base/clock.ts'
import { systemRandom } from '../src/base/random.ts'
import { fact, recordFacts } from '../src/engine/audit/audit.ts'
import { exportAuditLog } from '../src/engine/audit/audit-export.ts'
import { verifyAuditLog } from '../src/engine/audit/audit-verify.ts'
import { fileCheckpoint } from '../src/engine/audit/checkpoint.ts'
import { verifyExport } from '../src/engine/audit/exported-log.ts'
import { leafHash } from '../src/engine/audit/merkle.ts'
import { seal } from '../src/engine/audit/seal.ts'
import { noteKey, noteVerifier, type NoteSigner } from '../src/engine/audit/signed-note.ts'
import { TileTree } from '../src/engine/audit/tile-tree.ts'
import { openStore } from '../src/store/open.ts'

const count = Number(process.argv[2] ?? 200_000)
const directory = mkdtempSync(join(tmpdir(), 'perennial-bench-audit-'))
const rows: string[] = []

function report(what: string, entries: number, ms: number, limit: string): void {
  const rate = Math.round((entries * 1_000) / ms).toLocaleString('en-US')
  const memory = Math.round(process.memoryUsage.rss() / 2 ** 20)
  rows.push(`${what.padEnd(44)}${rate.padStart(12)}/s ${String(memory).padStart(7)} MB   ${limit}`)
}

function signer(): NoteSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const key = noteKey('bench.example/audit', publicKey.export({ type: 'spki', format: 'der' }))
  return { ...key, sign: async (text) => sign(null, text, privateKey) }
}

const sample = (i: number) =>
  fact(1_800_000_000_000 + i, {
    actor: `device:SN-${i}`,
    action: 'issuance.intended',
    subject: `device:SN-${i}`,
    details: { sha256: 'a'.repeat(64), notAfter: '2029-11-20T12:00:00Z', profile: 'industrial' },
  })

/** Leaf hash, inner nodes and tiles, nothing else. */
function benchHashing(): void {
  const entries = Array.from({ length: 10_000 }, (_, i) => sample(i).entry)
  const tree = new TileTree()
  const elapsed = stopwatch()
  for (let i = 0; i < count; i += 1) {
    tree.append(leafHash(entries[i % entries.length] as Uint8Array))
    if (i % 4_096 === 0) tree.takeTiles()
  }
  tree.root()
  report('hashing and tiles', count, elapsed(), 'at least 100,000/s')
}

async function benchLog(): Promise<void> {
  const store = await openStore({ url: `sqlite:${join(directory, 'bench.db')}` })
  await store.migrate()
  const audit = { signer: signer(), checkpointFile: fileCheckpoint(join(directory, 'audit-checkpoint')) }
  const engine = { store, audit, random: systemRandom }

  let elapsed = stopwatch()
  for (let i = 0; i < count; i += 1_000) {
    const facts = Array.from({ length: 1_000 }, (_, n) => sample(i + n))
    await store.transaction((tx) => recordFacts(tx, ...facts))
  }
  report('recording (SQLite, full sync, 1,000 a commit)', count, elapsed(), '')

  elapsed = stopwatch()
  const { worked } = await seal(engine, systemClock.now())
  report('sealing (SQLite, full sync, signed)', worked, elapsed(), 'well above the rate of issuing × 2')

  elapsed = stopwatch()
  const verified = await verifyAuditLog(engine)
  report('audit verify', verified.size, elapsed(), 'memory flat')

  elapsed = stopwatch()
  await exportAuditLog(engine, join(directory, 'export'))
  report('audit export', count, elapsed(), 'memory flat')

  elapsed = stopwatch()
  const checked = await verifyExport(join(directory, 'export'), noteVerifier(audit.signer))
  report('audit verify --export', checked.size, elapsed(), 'memory flat')
  if (!checked.isValid) throw new Error('the export does not verify')
  await store.close()
}

try {
  benchHashing()
  await benchLog()
  console.log(`${count.toLocaleString('en-US')} facts of ${sample(1).entry.byteLength} bytes`)
  console.log(`${'step'.padEnd(44)}${'entries'.padStart(12)}   ${'RSS'.padStart(10)}   limit`)
  console.log(rows.join('\n'))
} finally {
  rmSync(directory, { recursive: true })
}
