/** The part of the npm package `smpp` 0.5.1 that we use; it comes without types. */
declare module 'smpp' {
  import type { EventEmitter } from 'node:events'
  import type { Server as NetServer } from 'node:net'
  import type { ConnectionOptions } from 'node:tls'

  export type PduFields = Readonly<Record<string, unknown>>

  export interface Pdu {
    readonly command: string
    readonly command_status: number
    readonly sequence_number: number
    readonly [field: string]: unknown
    isResponse(): boolean
    response(fields?: PduFields): Pdu
  }

  export interface Session extends EventEmitter {
    /** @returns false when the socket takes nothing any more */
    send(pdu: Pdu, onResponse?: (response: Pdu) => void): boolean
    destroy(): void
    close(): void
  }

  interface Package {
    connect(options: ConnectionOptions & { readonly tls?: boolean }): Session
    createServer(onSession: (session: Session) => void): NetServer
    readonly PDU: new (command: string, fields?: PduFields) => Pdu
    readonly errors: Readonly<Record<string, number>>
  }
  const smpp: Package
  export default smpp
}
