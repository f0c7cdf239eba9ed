/** With what a device proves in TLS who it is: a key in this process, or something that does TLS with a key that it never sees. */
import type { KeyObject } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { Instant } from '../base/clock.ts'

/** Where a TLS connection goes, and who must be there. */
export interface TlsTarget {
  readonly host: string
  readonly port: number
  /** DNS name or IP address that the server's certificate must carry. */
  readonly serverName: string
  /** Pinned trust anchors, PEM: the only ones. */
  readonly trustPem: string
  /** When the server's certificate must be valid; absent: by the system's clock. */
  readonly at?: Instant | undefined
  /** Certificates to present, PEM, leaf first. */
  readonly chainPem: string
}

/**
 * TLS 1.2 or newer with a key that stays in its hardware. Verifies the server before it passes on a byte. What goes wrong
 * destroys the stream with an Error; its `code` is that of Node (`ERR_SSL_…ALERT_…`) when the server has sent a TLS alert.
 */
export interface TlsConnector {
  /** @returns a stream of what is inside TLS. @param signal ends the connection, whatever its state */
  connect(target: TlsTarget, signal: AbortSignal): Promise<Duplex>
}

export type TlsKey = { readonly key: KeyObject } | { readonly tls: TlsConnector }

/** PEM, leaf first, then what leads to its CA; and the key of the leaf. */
export type TlsIdentity = { readonly chainPem: string } & TlsKey
