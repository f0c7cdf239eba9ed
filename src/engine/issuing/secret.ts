/** One-time enrolment secrets: what an installer types, or what is printed on a label, to enrol a device once. */
import { sha256Hex } from '../../base/bytes.ts'
import { iso, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import type { Random } from '../../base/random.ts'
import { findDevice } from '../../store/devices.ts'
import { replaceSecret } from '../../store/secrets.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { requireInService } from './identify.ts'

export interface NewSecret {
  readonly deviceId: DeviceId
  /** Shown once; only its hash is kept. */
  readonly secret: string
  readonly expiresAt: Instant
}

export interface NewSecretRequest {
  readonly deviceId: DeviceId
  readonly actor: string
  /** Default: `secretLifetimeMs` of the settings. */
  readonly lifetimeMs?: number
}

/**
 * Makes the secret of a device; the one before it is worth nothing from now on.
 * @throws Refusal `not-found`, `device-quarantined`, `device-decommissioned`
 */
export async function newSecret(engine: Engine, request: NewSecretRequest): Promise<NewSecret> {
  const { deviceId, actor, lifetimeMs = engine.settings.secretLifetimeMs } = request
  const now = engine.clock.now()
  const device = await findDevice(engine.store.db, deviceId)
  if (!device) throw new Refusal('not-found', `device ${deviceId} is not in the inventory: add it first`)
  requireInService(device)
  const secret = secretText(engine.random)
  const expiresAt = now + lifetimeMs
  await engine.store.transaction(async (tx) => {
    await replaceSecret(tx, {
      deviceId,
      hash: sha256Hex(secret),
      createdAt: now,
      expiresAt,
      usedAt: null,
      usedFor: null,
    })
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'secret.created',
        subject: subjects.device(deviceId),
        details: { expiresAt: iso(expiresAt) },
      }),
    )
  })
  return { deviceId, secret, expiresAt }
}

/** Crockford's base 32: no letter looks like a digit, and no character means anything to a shell or a URL. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
/** 28 characters of 5 bits: 140 bits. */
const secretLength = 28

function secretText(random: Random): string {
  return Array.from(random.bytes(secretLength), (byte) => alphabet[byte & 31]).join('')
}
