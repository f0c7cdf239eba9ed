/**
 * Mutates DER with knowledge of its structure: the lengths around a change stay right, so that a mutation reaches the code
 * behind the reader; OCTET STRINGs and BIT STRINGs that hold DER are opened too. Some mutations break the encoding on
 * purpose. The same seed gives the same bytes.
 */

/** A TLV that knows nothing of rules. */
interface Tlv {
  identifier: number[]
  /** How the length is written; anything but `minimal` is BER or worse. */
  length: LengthForm
  content: Uint8Array | Tlv[]
  /** Octets between the header and the children: the count of unused bits when a BIT STRING holds DER. */
  prefix: number[]
}

type LengthForm = 'minimal' | 'longer' | 'indefinite' | 'wrong'

export type Chance = (below: number) => number

/** A small generator (xorshift), good enough to choose mutations. */
export function chanceFrom(seed: number): Chance {
  let state = seed === 0 ? 0x9e3779b9 : seed | 0
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/**
 * One to four mutations of `der`.
 * @param donors other DER values, whose parts may be spliced in
 */
export function mutateDer(der: Uint8Array, donors: readonly Uint8Array[], chance: Chance): Uint8Array {
  const root = parse(der, 0, der.length)?.tlv
  if (root === undefined || chance(12) === 0) return mutateBytes(der, chance)
  for (let count = 1 + chance(4); count > 0; count--) {
    const all = flatten(root)
    const target = pick(all, chance)
    const parent = all.find((tlv) => Array.isArray(tlv.content) && tlv.content.includes(target))
    pick(mutations, chance)({ target, parent: parent ?? null, donors, chance })
  }
  return encode(root)
}

interface Place {
  readonly target: Tlv
  readonly parent: Tlv | null
  readonly donors: readonly Uint8Array[]
  readonly chance: Chance
}

type Mutation = (place: Place) => void

const mutations: readonly Mutation[] = [
  mutateContent,
  mutateContent,
  mutateText,
  function changeTag({ target, chance }) {
    target.identifier = [chance(256)]
  },
  function changeTagToUsual({ target, chance }) {
    target.identifier = [
      pick([1, 2, 3, 4, 5, 6, 10, 12, 19, 22, 23, 24, 28, 30, 48, 49, 0xa0, 0xa1, 0x80, 0x82], chance),
    ]
  },
  function longTag({ target, chance }) {
    target.identifier = [
      0x9f | (chance(2) << 5),
      ...pick([[0x1f], [0x1e], [0x80, 0x1f], [0x81, 0x00], [0xff, 0xff, 0xff, 0x7f]], chance),
    ]
  },
  function changeLength({ target, chance }) {
    target.length = pick(['longer', 'indefinite', 'wrong'], chance)
  },
  function remove({ target, parent }) {
    editChildren(parent, (children) => children.filter((child) => child !== target))
  },
  function duplicate({ target, parent, chance }) {
    const count = chance(10) === 0 ? 50 : 1
    const copies = Array.from({ length: count }, () => structuredClone(target))
    editChildren(parent, (children) =>
      children.flatMap((child) => (child === target ? [child, ...copies] : [child])),
    )
  },
  function reverse({ target }) {
    editChildren(target, (children) => children.toReversed())
  },
  function sort({ target }) {
    editChildren(target, (children) => children.toSorted((a, b) => Buffer.compare(encode(a), encode(b))))
  },
  function empty({ target }) {
    target.content = Array.isArray(target.content) ? [] : new Uint8Array()
  },
  function wrap({ target, chance }) {
    const levels = chance(8) === 0 ? 40 : 1
    for (let level = 0; level < levels; level++) {
      const inner: Tlv = { ...target }
      target.identifier = [pick([0x30, 0x31, 0xa0, 0xa3], chance)]
      target.content = [inner]
      target.prefix = []
      target.length = 'minimal'
    }
  },
  function splice({ target, donors, chance }) {
    const donor = pick(donors, chance)
    const root = parse(donor, 0, donor.length)?.tlv
    if (root) Object.assign(target, structuredClone(pick(flatten(root), chance)))
  },
  function insert({ target, chance }) {
    editChildren(target, (children) => children.toSpliced(chance(children.length + 1), 0, small(chance)))
  },
]

function editChildren(tlv: Tlv | null, edit: (children: Tlv[]) => Tlv[]): void {
  if (tlv && Array.isArray(tlv.content)) tlv.content = edit(tlv.content)
}

/** Values at the edges of what the types allow. */
const edges: readonly (readonly [identifier: number, hex: string])[] = [
  [1, '00'],
  [1, 'ff'],
  [1, '01'],
  [2, ''],
  [2, '00'],
  [2, '7f'],
  [2, '0080'],
  [2, '80'],
  [2, '0001'],
  [2, 'ff'.repeat(21)],
  [3, ''],
  [3, '00'],
  [3, '0780'],
  [3, '0781'],
  [3, '0880'],
  [3, '0000'],
  [4, ''],
  [5, ''],
  [5, '00'],
  [6, ''],
  [6, '80'],
  [6, '558001'],
  [6, '81'.repeat(70)],
  [6, `${'ff'.repeat(30)}7f`],
  [12, 'c0af'],
  [12, 'eda080'],
  [12, 'e280ae'],
  [12, '00'],
  [12, '61'.repeat(65)],
  [19, '2a'],
  [22, '80'],
  [23, Buffer.from('991332246161Z').toString('hex')],
  [23, Buffer.from('260101000000Z').toString('hex')],
  [24, Buffer.from('20260101000000Z').toString('hex')],
  [24, Buffer.from('99991231235959Z').toString('hex')],
  [24, Buffer.from('20260101000000.5Z').toString('hex')],
  [30, 'd800'],
  [30, '41'],
]

function small(chance: Chance): Tlv {
  const [identifier, hex] = pick(edges, chance)
  return { identifier: [identifier], length: 'minimal', content: Buffer.from(hex, 'hex'), prefix: [] }
}

function mutateContent({ target, chance }: Place): void {
  if (Array.isArray(target.content)) {
    const child = target.content.at(chance(Math.max(target.content.length, 1)))
    if (child) Object.assign(child, small(chance))
    return
  }
  const [identifier] = target.identifier
  const same = edges.filter(([type]) => type === identifier)
  if (same.length > 0 && chance(2) === 0) target.content = Buffer.from(pick(same, chance)[1], 'hex')
  else target.content = mutateBytes(target.content, chance)
}

const texts = [
  '',
  'a',
  'a\0b',
  'a\u202eb',
  '\x1b[2J',
  'x'.repeat(64),
  'x'.repeat(65),
  ' ',
  'ß',
  '𝄞',
  '*',
  '_',
  '\ufeff',
  'DE',
  'a.example',
]

function mutateText({ target, chance }: Place): void {
  const [identifier = 0] = target.identifier
  const isText = identifier === 12 || identifier === 19 || identifier === 22 || (identifier & 0xe0) === 0x80
  if (isText && !Array.isArray(target.content)) target.content = Buffer.from(pick(texts, chance))
}

/** No respect for structure at all. */
function mutateBytes(bytes: Uint8Array, chance: Chance): Uint8Array {
  const changed = Uint8Array.from(bytes)
  const at = chance(Math.max(bytes.length, 1))
  switch (chance(6)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      return Buffer.concat([bytes, Uint8Array.of(chance(256))])
    case 2:
      return Buffer.concat([bytes.subarray(0, at), Uint8Array.of(chance(256)), bytes.subarray(at)])
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + chance(4))])
    case 4:
      changed[at] = chance(256)
      return changed
    default:
      changed[at] = (changed[at] ?? 0) ^ (1 << chance(8))
      return changed
  }
}

function flatten(tlv: Tlv): Tlv[] {
  return Array.isArray(tlv.content) ? [tlv, ...tlv.content.flatMap(flatten)] : [tlv]
}

function pick<Value>(values: readonly Value[], chance: Chance): Value {
  const value = values[chance(values.length)]
  if (value === undefined) throw new Error('nothing to choose from')
  return value
}

function parse(bytes: Uint8Array, start: number, end: number): { tlv: Tlv; next: number } | null {
  const identifier = bytes[start]
  let length = bytes[start + 1]
  if (identifier === undefined || length === undefined || (identifier & 0x1f) === 0x1f) return null
  let offset = start + 2
  if (length >= 0x80) {
    const octets = length - 0x80
    if (octets < 1 || octets > 3) return null
    length = 0
    for (let index = 0; index < octets; index++) length = length * 256 + (bytes[offset++] ?? 0)
  }
  const next = offset + length
  if (next > end) return null
  return {
    tlv: { identifier: [identifier], length: 'minimal', ...readContent(bytes, identifier, offset, next) },
    next,
  }
}

function readContent(
  bytes: Uint8Array,
  identifier: number,
  start: number,
  end: number,
): Pick<Tlv, 'content' | 'prefix'> {
  const isBitString = identifier === 3
  const mayHoldDer = (identifier & 0x20) !== 0 || identifier === 4 || isBitString
  const prefix = isBitString ? 1 : 0
  const children = mayHoldDer && end > start ? parseAll(bytes, start + prefix, end) : null
  if (children && (children.length > 0 || (identifier & 0x20) !== 0)) {
    return { content: children, prefix: [...bytes.subarray(start, start + prefix)] }
  }
  return { content: bytes.slice(start, end), prefix: [] }
}

function parseAll(bytes: Uint8Array, start: number, end: number): Tlv[] | null {
  const children: Tlv[] = []
  for (let offset = start; offset < end;) {
    const child = parse(bytes, offset, end)
    if (child === null) return null
    children.push(child.tlv)
    offset = child.next
  }
  return children
}

function encode(tlv: Tlv): Uint8Array {
  const inner = Array.isArray(tlv.content) ? Buffer.concat(tlv.content.map(encode)) : tlv.content
  const content = Buffer.concat([Uint8Array.from(tlv.prefix), inner])
  const end = tlv.length === 'indefinite' ? [0, 0] : []
  return Buffer.concat([
    Uint8Array.from([...tlv.identifier, ...lengthOctets(content.length, tlv.length)]),
    content,
    Uint8Array.from(end),
  ])
}

function lengthOctets(length: number, form: LengthForm): number[] {
  const wanted = form === 'wrong' ? length + 1 : length
  const octets: number[] = []
  for (let left = wanted; left > 0; left = Math.floor(left / 256)) octets.unshift(left % 256)
  switch (form) {
    case 'indefinite':
      return [0x80]
    case 'longer':
      return wanted < 0x80 ? [0x81, wanted] : [0x80 + octets.length + 1, 0, ...octets]
    default:
      return wanted < 0x80 ? [wanted] : [0x80 + octets.length, ...octets]
  }
}
