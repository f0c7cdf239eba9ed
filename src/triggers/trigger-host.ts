/** What trigger channels are given by whoever composes the process. Never the store. */
import type { ExtensionHost } from '../base/extension.ts'
import type { OtaSigner } from '../pki/ota-bundle.ts'

/** What a provider says later about a message that it had taken. */
export interface DeliveryReceipt {
  /** The message's name, as `send` answered it. */
  readonly reference: string
  /** `pending`: still on its way, nothing is decided. */
  readonly outcome: 'delivered' | 'failed' | 'pending'
  /** The provider's words for it: one line, no secrets. */
  readonly detail: string
}

export interface TriggerHost extends ExtensionHost {
  /** For channels to which receipts come by themselves. Resolves when it is on record; may be told twice. */
  onReceipt(receipt: DeliveryReceipt): Promise<void>
  /** Signs OTA bundles with the installation's key. @throws Refusal `passphrase-wrong`, `issuer-unavailable` */
  otaSigner(): Promise<OtaSigner>
}
