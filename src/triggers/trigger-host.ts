/** What trigger channels are given by whoever composes the process. Never the store. */
import type { ExtensionHost } from '../base/extension.ts'
import type { DeliveryReceipt } from '../engine/ports.ts'
import type { OtaSigner } from '../pki/ota-bundle.ts'

export interface TriggerHost extends ExtensionHost {
  /** For channels to which receipts come by themselves. Resolves when it is on record; may be told twice. */
  onReceipt(receipt: DeliveryReceipt): Promise<void>
  /** Signs OTA bundles with the installation's key. @throws Refusal `passphrase-wrong`, `issuer-unavailable` */
  otaSigner(): Promise<OtaSigner>
}
