/** What the main process and its TLS workers say to each other. Both ends are this program: no version, no validation. */
import type { MetricsSnapshot } from '../api/metrics.ts'
import type { ServerIdentity } from '../protocols/tls-server.ts'

export type ToWorker =
  | {
      readonly kind: 'start'
      readonly dataPath: string
      /** Over this channel and nowhere else: arguments and environments can be read by others. */
      readonly passphrase: string
      readonly identity: ServerIdentity
      readonly host: string
      readonly port: number
      readonly version: string
    }
  | { readonly kind: 'reload'; readonly identity: ServerIdentity }
  | { readonly kind: 'snapshot'; readonly id: number }
  | { readonly kind: 'stop' }

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'snapshot'; readonly id: number; readonly metrics: MetricsSnapshot }
  /** It could not start; it ends. */
  | { readonly kind: 'failed'; readonly message: string }
