/**
 * The storage of one simulated device: what the files of the agent would hold, already read. Each method is one atomic write,
 * as it is on a real device, and may be the one at which the power fails.
 */
import type { KeyObject } from 'node:crypto'
import { equalBytes, sha256Hex } from '../../base/bytes.ts'
import { assert, InvariantError } from '../../base/errors.ts'
import { emptyInbox, type Inbox, type InboxState } from '../../agent/agent-inbox.ts'
import { noMemory, type AgentMemory, type MemoryFile } from '../../agent/agent-memory.ts'
import type { Credentials, CredentialSlots, SlotState } from '../../agent/credential-slots.ts'
import type { Keystore, Slot } from '../../agent/keystore.ts'
import type { TlsConnector } from '../../agent/tls-key.ts'
import { parseCertificate, type Certificate } from '../../pki/certificate.ts'
import { parseCsr, type Csr } from '../../pki/csr.ts'
import { parsePublicKey } from '../../pki/key.ts'
import { defaultSignatureAlgorithm, signData } from '../../pki/signature.ts'
import { generateP256, privateKeyFrom } from './p256.ts'

/** The device is off: nothing after this write has happened. */
export class PowerCut extends Error {}

export interface HeldKey {
  readonly spki: Uint8Array
  readonly spkiHash: string
  /** The private key, or the scalar that it is made from when it is needed. */
  privateKey: KeyObject | string
}

export interface SlotContents {
  key: HeldKey | null
  csr: Csr | null
  leaf: Certificate | null
  fingerprint: string
  intermediates: readonly Uint8Array[]
}

/** At which write of a time awake the power fails, and whether the file that was being written is lost. */
export interface PowerFault {
  readonly atWrite: number
  readonly effect: 'not-written' | 'written' | 'lost'
}

export function emptySlot(): SlotContents {
  return { key: null, csr: null, leaf: null, fingerprint: '', intermediates: [] }
}

export class Flash {
  readonly slots: Record<Slot, SlotContents> = { a: emptySlot(), b: emptySlot() }
  active: Slot | null = null
  /** Fingerprint of the certificate that was active before. */
  retired: string | null = null
  memory: AgentMemory = noMemory
  inbox: InboxState = emptyInbox
  #writes = 0
  #fault: PowerFault | null = null

  /** Called when the device wakes. */
  powerUp(fault: PowerFault | null): void {
    this.#writes = 0
    this.#fault = fault
  }

  keep(slot: Slot, certificate: Certificate, key: HeldKey, intermediates: readonly Uint8Array[]): void {
    const fingerprint = sha256Hex(certificate.der)
    this.slots[slot] = { key, csr: null, leaf: certificate, fingerprint, intermediates }
  }

  write(apply: () => void, lose: () => void): void {
    this.#writes += 1
    const fault = this.#fault
    if (fault === null || this.#writes !== fault.atWrite) return apply()
    if (fault.effect === 'lost') lose()
    if (fault.effect === 'written') apply()
    throw new PowerCut()
  }

  credentials(): Credentials {
    return { active: this.active, slots: { a: this.#state('a'), b: this.#state('b') } }
  }

  #state(slot: Slot): SlotState {
    const { key, csr, leaf, fingerprint, intermediates } = this.slots[slot]
    if (key === null) return { kind: 'empty' }
    const { spkiHash } = key
    if (leaf !== null) {
      const isRetired = fingerprint === this.retired
      return { kind: 'stored', spkiHash, fingerprint, certificate: leaf, intermediates, csr, isRetired }
    }
    return csr === null ? { kind: 'keyed', spkiHash } : { kind: 'requested', spkiHash, csr }
  }
}

export function flashKeystore(flash: Flash): Keystore {
  return {
    kind: 'simulated',
    async create(slot, algorithm) {
      assert(algorithm === 'ec-p256', 'simulated devices have P-256 keys')
      const { privateKey, spki } = generateP256()
      const key = { spki, spkiHash: sha256Hex(spki), privateKey }
      flash.write(
        () => void (flash.slots[slot] = { ...emptySlot(), key }),
        () => void (flash.slots[slot] = emptySlot()),
      )
      return spki
    },
    find: async (slot) => flash.slots[slot].key?.spki ?? null,
    async sign(slot, data) {
      const { key } = flash.slots[slot]
      assert(key, `slot ${slot} holds a key`)
      const algorithm = defaultSignatureAlgorithm(parsePublicKey(key.spki).algorithm)
      return { algorithm, signature: signData(privateKeyOf(key), algorithm, data) }
    },
    tls: async () => ({ tls: noTls }),
  }
}

/** A device shows its certificate, and the handshake is not made. */
const noTls: TlsConnector = {
  connect: () => Promise.reject(new InvariantError('nobody does TLS in a simulation')),
}

function privateKeyOf(key: HeldKey): KeyObject {
  if (typeof key.privateKey === 'string') key.privateKey = privateKeyFrom(key.spki, key.privateKey)
  return key.privateKey
}

type CredentialPort = Pick<CredentialSlots, 'read' | 'saveRequest' | 'saveCertificate' | 'activate'>

export function flashCredentials(flash: Flash): CredentialPort {
  return {
    read: async () => flash.credentials(),
    async saveRequest(slot, der) {
      const csr = parseCsr(der)
      const contents = flash.slots[slot]
      flash.write(
        () => void (contents.csr = csr),
        () => void (contents.csr = null),
      )
    },
    async saveCertificate(slot, [der, ...intermediates]) {
      assert(der, 'a chain has a leaf')
      const leaf = parseCertificate(der)
      const contents = flash.slots[slot]
      const { key } = contents
      const isOurs = key !== null && equalBytes(leaf.spki, key.spki)
      flash.write(
        () => {
          contents.leaf = isOurs ? leaf : null
          contents.fingerprint = sha256Hex(der)
          contents.intermediates = intermediates
        },
        () => void (contents.leaf = null),
      )
    },
    async activate(slot, before) {
      flash.write(
        () => {
          flash.active = slot
          flash.retired = before?.fingerprint ?? null
        },
        () => {
          flash.active = null
          flash.retired = null
        },
      )
    },
  }
}

export function flashMemory(flash: Flash): Pick<MemoryFile, 'read' | 'save'> {
  return {
    read: async () => flash.memory,
    async save(memory) {
      flash.write(
        () => void (flash.memory = memory),
        () => void (flash.memory = noMemory),
      )
    },
  }
}

export function flashInbox(flash: Flash): Pick<Inbox, 'read' | 'update'> {
  return {
    read: async () => flash.inbox,
    async update(change) {
      const before = flash.inbox
      const after = change(before)
      if (after === before) return
      flash.write(
        () => void (flash.inbox = after),
        () => void (flash.inbox = emptyInbox),
      )
    },
  }
}
