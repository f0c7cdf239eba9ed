/** An SMSC on loopback (npm `smpp` as the server): keeps what is submitted, and delivers receipts when a test says so. */
import type { AddressInfo } from 'node:net'
import smpp, { type Pdu, type Session } from 'smpp'

export interface SubmittedSms {
  readonly id: string
  readonly to: string
  readonly from: string
  readonly text: string
  readonly registeredDelivery: number
}

export interface Smsc {
  readonly port: number
  readonly taken: readonly SubmittedSms[]
  /** Sessions that are bound now. */
  readonly bound: number
  /** enquire_link requests that came. */
  readonly enquiries: number
  /** command_status of the next answers to submit_sm; `never`: no answer. */
  status: number | 'never'
  /** Delivers a receipt to whoever is bound. @returns command_status of the answer to deliver_sm */
  deliver(fields: Readonly<Record<string, unknown>>): Promise<number>
  /** Ends the connections of those who are bound now. */
  drop(): void
  stop(): Promise<void>
  start(): Promise<void>
}

export const smscAccount = { systemId: 'perennial', password: 'sms-pass' } as const

export async function startSmsc(): Promise<Smsc> {
  const taken: SubmittedSms[] = []
  const sessions = new Set<Session>()
  const boundSessions = new Set<Session>()
  let server: ReturnType<typeof smpp.createServer> | null = null
  let port = 0
  const smsc = {
    port: 0,
    taken,
    enquiries: 0,
    status: 0 as Smsc['status'],
    get bound() {
      return boundSessions.size
    },
    async deliver(fields: Readonly<Record<string, unknown>>) {
      const [session] = boundSessions
      if (!session) throw new Error('nobody is bound')
      return await new Promise<number>((resolve) => {
        session.send(new smpp.PDU('deliver_sm', fields), (answer) => resolve(answer.command_status))
      })
    },
    drop() {
      for (const session of sessions) session.destroy()
    },
    async stop() {
      const stopping = server
      server = null
      if (!stopping) return
      await new Promise<void>((resolve) => {
        stopping.close(() => resolve())
        smsc.drop()
      })
    },
    async start() {
      if (server) return
      const starting = smpp.createServer((session) => accept(session))
      await new Promise<void>((resolve) => starting.listen(port, '127.0.0.1', () => resolve()))
      port = (starting.address() as AddressInfo).port
      smsc.port = port
      server = starting
    },
  }
  const accept = (session: Session): void => {
    sessions.add(session)
    session.on('error', () => session.destroy())
    session.on('close', () => {
      sessions.delete(session)
      boundSessions.delete(session)
    })
    for (const command of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
      session.on(command, (pdu: Pdu) => {
        const isKnown = pdu['system_id'] === smscAccount.systemId && pdu['password'] === smscAccount.password
        if (isKnown && command !== 'bind_transmitter') boundSessions.add(session)
        // ESME_RINVPASWD
        session.send(pdu.response({ command_status: isKnown ? 0 : 0x0e, system_id: 'smsc' }))
      })
    }
    session.on('enquire_link', (pdu: Pdu) => {
      smsc.enquiries++
      session.send(pdu.response())
    })
    session.on('unbind', (pdu: Pdu) => void session.send(pdu.response()))
    session.on('submit_sm', (pdu: Pdu) => {
      if (smsc.status === 'never') return
      if (smsc.status !== 0) return void session.send(pdu.response({ command_status: smsc.status }))
      const id = `m${taken.length + 1}`
      taken.push(submitted(id, pdu))
      session.send(pdu.response({ message_id: id }))
    })
  }
  await smsc.start()
  return smsc
}

/** The text of a receipt as SMPP 3.4 appendix B writes it. */
export function receiptText(id: string, stat: string, error = '000'): string {
  return `id:${id} sub:001 dlvrd:001 submit date:2611201200 done date:2611201201 stat:${stat} err:${error} text:PERENNIAL`
}

function submitted(id: string, pdu: Pdu): SubmittedSms {
  const { message } = pdu['short_message'] as { message: string | Buffer }
  return {
    id,
    to: String(pdu['destination_addr']),
    from: String(pdu['source_addr']),
    text: message.toString(),
    registeredDelivery: Number(pdu['registered_delivery']),
  }
}
