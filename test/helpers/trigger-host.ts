import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { systemClock, type Clock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { DeliveryReceipt } from '../../src/engine/ports.ts'
import type { TriggerHost } from '../../src/triggers/trigger-host.ts'
import type { OtaSigner } from '../../src/pki/ota-bundle.ts'

export interface TestTriggerHostOptions {
  /** By the names that the options of the channel use. */
  readonly secrets?: Readonly<Record<string, string>>
  readonly clock?: Clock
  readonly signer?: OtaSigner
  readonly onReceipt?: (receipt: DeliveryReceipt) => Promise<void>
}

/** A host with real time and real sockets. */
export function testTriggerHost(options: TestTriggerHostOptions = {}): TriggerHost {
  const { secrets = {}, clock = systemClock, signer, onReceipt = async () => {} } = options
  return {
    clock,
    random: systemRandom,
    log: silentLog,
    fetch,
    onReceipt,
    async secret(name) {
      const value = secrets[name]
      if (value === undefined) throw new Error(`the test has no secret ${name}`)
      return value
    },
    async otaSigner() {
      if (!signer) throw new Error('the test has no OTA key')
      return signer
    },
  }
}

/** A new Ed25519 key. */
export function testOtaSigner(): OtaSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  })
  const key = createPrivateKey(privateKey)
  return { spki: publicKey, sign: async (bytes) => sign(null, bytes, key) }
}
