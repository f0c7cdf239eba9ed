/**
 * Whether anything of an issuer was revoked since: one small read for all requests of a turn of the event loop. It begins
 * after the last of them has arrived, so whoever asks after a revocation was committed sees it, in whatever process that was.
 */
import { nextTurn } from '../../base/clock.ts'
import type { IssuerId } from '../../base/id.ts'
import { issuerRevision } from '../../store/revocations.ts'
import type { Engine } from '../context.ts'

const readings = new WeakMap<Engine, Map<IssuerId, Promise<number>>>()

/** Grows with every revocation of the issuer's certificates; the same number: nothing has changed. */
export function revocationMark(engine: Engine, issuerId: IssuerId): Promise<number> {
  let ofEngine = readings.get(engine)
  if (!ofEngine) readings.set(engine, (ofEngine = new Map()))
  let reading = ofEngine.get(issuerId)
  if (!reading) {
    reading = read(engine, issuerId, ofEngine)
    ofEngine.set(issuerId, reading)
  }
  return reading
}

async function read(engine: Engine, issuerId: IssuerId, open: Map<IssuerId, unknown>): Promise<number> {
  await nextTurn()
  // who comes from now on needs a read of its own
  open.delete(issuerId)
  return await issuerRevision(engine.store.db, issuerId)
}
