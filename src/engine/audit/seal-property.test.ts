import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { assertAuditInvariants } from '../../../test/helpers/audit-invariants.ts'
import { addFacts, auditLog, startOfTests } from '../../../test/helpers/audit-log.ts'
import { latestCheckpoint } from '../../store/checkpoints.ts'
import { openStore } from '../../store/open.ts'
import { verifyAuditLog } from './audit-verify.ts'
import { memoryCheckpoint } from './checkpoint.ts'
import { seal, type SealContext } from './seal.ts'

type Action =
  | { readonly do: 'record'; readonly count: number }
  | { readonly do: 'seal' }
  | { readonly do: 'seal on a second node' }
  | { readonly do: 'seal twice at once' }
  | { readonly do: 'crash before the signature' }
  | { readonly do: 'crash before the file' }

const actions: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ do: fc.constant('record' as const), count: fc.integer({ min: 1, max: 300 }) }),
  fc.record({
    do: fc.constantFrom(
      'seal' as const,
      'seal on a second node' as const,
      'seal twice at once' as const,
      'crash before the signature' as const,
      'crash before the file' as const,
    ),
  }),
)

const crash = (): Promise<never> => Promise.reject(new Error('crash'))

class Model {
  readonly log: SealContext
  readonly second: SealContext
  recorded = 0
  now = startOfTests

  constructor(log: SealContext) {
    this.log = log
    this.second = { ...log, audit: { signer: log.audit.signer, checkpointFile: memoryCheckpoint() } }
  }

  async act(action: Action): Promise<void> {
    // beyond the lease of a sealer that crashed
    this.now += 120_000
    const { log, second, now } = this
    const { signer, checkpointFile } = log.audit
    switch (action.do) {
      case 'record':
        await addFacts(log.store, action.count)
        this.recorded += action.count
        return
      case 'seal':
        await seal(log, now)
        return
      case 'seal on a second node':
        await seal(second, now)
        return
      case 'seal twice at once':
        await Promise.all([seal(log, now), seal(second, now)])
        return
      case 'crash before the signature':
        await seal({ ...log, audit: { checkpointFile, signer: { ...signer, sign: crash } } }, now).catch(
          isCrash,
        )
        return
      case 'crash before the file':
        await seal(
          { ...log, audit: { signer, checkpointFile: { ...checkpointFile, write: crash } } },
          now,
        ).catch(isCrash)
        return
    }
  }
}

function isCrash(error: unknown): void {
  assert.match(String(error), /crash/)
}

test('whatever crashes and whoever seals, every fact is sealed once and all checkpoints are of one history', async () => {
  const property = fc.asyncProperty(fc.array(actions, { minLength: 1, maxLength: 12 }), async (steps) => {
    const store = await openStore({ url: 'sqlite::memory:' })
    try {
      await store.migrate()
      const model = new Model(auditLog(store))
      for (const step of steps) {
        await model.act(step)
        await assertAuditInvariants(model.log)
      }
      model.now += 120_000
      await seal(model.log, model.now)
      assert.equal((await latestCheckpoint(store.db))?.size ?? 0, model.recorded)
      assert.deepEqual((await verifyAuditLog(model.log)).findings, [])
    } finally {
      await store.close()
    }
  })
  await fc.assert(property, { numRuns: 60 })
})
