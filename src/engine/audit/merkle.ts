/**
 * The Merkle tree of RFC 6962 §2.1: hashes, inclusion proofs and consistency proofs. Pure; where hashes are kept is
 * the caller's matter. Sizes and indexes are safe integers, so no 32-bit operators on them.
 */
import { hash } from 'node:crypto'
import { assert } from '../../base/errors.ts'
import { equalBytes } from '../../base/bytes.ts'

export const hashBytes = 32

/** §2.1: the hash of an empty list is the hash of an empty string. */
export const emptyRoot: Uint8Array = hash('sha256', new Uint8Array(0), 'buffer')

// The prefixes separate leaves from nodes, so that an inner node cannot be presented as an entry (§2.1).
const leafPrefix = 0x00
const nodePrefix = 0x01

// One buffer for each kind: at 600,000 hashes a second the allocations cost more than the hashing.
const nodeInput = Buffer.alloc(1 + 2 * hashBytes, nodePrefix)
let leafInput = Buffer.alloc(4_096, leafPrefix)

/** SHA-256(0x00 ‖ entry). */
export function leafHash(entry: Uint8Array): Uint8Array {
  const length = 1 + entry.byteLength
  if (leafInput.byteLength < length) leafInput = Buffer.alloc(length * 2, leafPrefix)
  leafInput.set(entry, 1)
  return hash('sha256', leafInput.subarray(0, length), 'buffer')
}

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1)
  nodeInput.set(right, 1 + hashBytes)
  return hash('sha256', nodeInput, 'buffer')
}

/** Root of the subtree over `hashes`, which are neighbours on one level and a power of two in number. */
export function perfectRoot(hashes: Uint8Array): Uint8Array {
  let level: Uint8Array[] = []
  for (let at = 0; at < hashes.byteLength; at += hashBytes) level.push(hashes.subarray(at, at + hashBytes))
  assert(level.length > 0 && Number.isInteger(Math.log2(level.length)), 'a perfect subtree has 2^n leaves')
  while (level.length > 1) {
    const above: Uint8Array[] = []
    for (let i = 0; i < level.length; i += 2) {
      above.push(nodeHash(level[i] as Uint8Array, level[i + 1] as Uint8Array))
    }
    level = above
  }
  return Uint8Array.from(level[0] as Uint8Array)
}

/** Leaves `from` (inclusive) to `to` (exclusive). */
export interface LeafRange {
  readonly from: number
  readonly to: number
}

/** Hash of the perfect subtree of 2^level leaves that begins at leaf `index` × 2^level. */
export type SubtreeReader = (level: number, index: number) => Promise<Uint8Array>

/** The ranges whose hashes make the inclusion proof of a leaf, from its sibling up (§2.1.1, PATH). */
export function inclusionRanges(index: number, size: number): LeafRange[] {
  assert(index >= 0 && index < size, 'only a leaf of the tree can be proved to be in it')
  const ranges: LeafRange[] = []
  let from = 0
  let to = size
  while (to - from > 1) {
    const middle = from + splitPoint(to - from)
    if (index < middle) {
      ranges.push({ from: middle, to })
      to = middle
    } else {
      ranges.push({ from, to: middle })
      from = middle
    }
  }
  return ranges.toReversed()
}

/** The ranges whose hashes prove that the tree of `oldSize` is the beginning of the one of `newSize` (§2.1.2, PROOF). */
export function consistencyRanges(oldSize: number, newSize: number): LeafRange[] {
  assert(oldSize >= 0 && oldSize <= newSize, 'a tree only grows')
  if (oldSize === 0 || oldSize === newSize) return []
  const ranges: LeafRange[] = []
  let from = 0
  let to = newSize
  let isWholeOldTree = true
  while (to !== oldSize) {
    const middle = from + splitPoint(to - from)
    if (oldSize <= middle) {
      ranges.push({ from: middle, to })
      to = middle
    } else {
      ranges.push({ from, to: middle })
      from = middle
      isWholeOldTree = false
    }
  }
  // The verifier knows the old root; it needs this last subtree only where that is not the old tree itself.
  if (!isWholeOldTree) ranges.push({ from, to })
  return ranges.toReversed()
}

/** MTH of a range that begins where a subtree begins (§2.1): right edges are folded, perfect parts are read. */
export async function rangeHash({ from, to }: LeafRange, read: SubtreeReader): Promise<Uint8Array> {
  const size = to - from
  if (size === 0) return emptyRoot
  const level = Math.log2(size)
  if (Number.isInteger(level)) {
    assert(from % size === 0, 'a perfect subtree begins at a multiple of its size')
    return await read(level, from / size)
  }
  const middle = from + splitPoint(size)
  return nodeHash(await rangeHash({ from, to: middle }, read), await rangeHash({ from: middle, to }, read))
}

/** Hashes of an inclusion proof, in the order of §2.1.1. */
export async function inclusionProof(
  index: number,
  size: number,
  read: SubtreeReader,
): Promise<Uint8Array[]> {
  return await readRanges(inclusionRanges(index, size), read)
}

/** Hashes of a consistency proof, in the order of §2.1.2. */
export async function consistencyProof(
  oldSize: number,
  newSize: number,
  read: SubtreeReader,
): Promise<Uint8Array[]> {
  return await readRanges(consistencyRanges(oldSize, newSize), read)
}

export interface Inclusion {
  readonly leaf: Uint8Array
  readonly index: number
  readonly size: number
  readonly proof: readonly Uint8Array[]
  readonly root: Uint8Array
}

/** RFC 9162 §2.1.3.2, which spells out the check that RFC 6962 leaves to the reader. Never throws. */
export function verifyInclusion({ leaf, index, size, proof, root }: Inclusion): boolean {
  if (!isCount(index) || !isCount(size) || index >= size) return false
  let node = leaf
  let position = index
  let last = size - 1
  for (const sibling of proof) {
    if (last === 0) return false
    if (position % 2 === 1 || position === last) {
      node = nodeHash(sibling, node)
      while (position % 2 === 0 && position !== 0) {
        position = position / 2
        last = Math.floor(last / 2)
      }
    } else {
      node = nodeHash(node, sibling)
    }
    position = Math.floor(position / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 && equalBytes(node, root)
}

export interface Consistency {
  readonly oldSize: number
  readonly oldRoot: Uint8Array
  readonly newSize: number
  readonly newRoot: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/** RFC 9162 §2.1.4.2. Two equal trees need an empty proof; every tree continues the empty one. Never throws. */
export function verifyConsistency({ oldSize, oldRoot, newSize, newRoot, proof }: Consistency): boolean {
  if (!isCount(oldSize) || !isCount(newSize) || oldSize > newSize) return false
  if (oldSize === 0) return proof.length === 0 && equalBytes(oldRoot, emptyRoot)
  if (oldSize === newSize) return proof.length === 0 && equalBytes(oldRoot, newRoot)
  // a perfect old tree is itself the first subtree of the proof
  const path = Number.isInteger(Math.log2(oldSize)) ? [oldRoot, ...proof] : [...proof]
  const first = path[0]
  if (first === undefined || proof.length === 0) return false
  let position = oldSize - 1
  let last = newSize - 1
  while (position % 2 === 1) {
    position = Math.floor(position / 2)
    last = Math.floor(last / 2)
  }
  let oldNode = first
  let newNode = first
  for (const sibling of path.slice(1)) {
    if (last === 0) return false
    if (position % 2 === 1 || position === last) {
      oldNode = nodeHash(sibling, oldNode)
      newNode = nodeHash(sibling, newNode)
      while (position % 2 === 0 && position !== 0) {
        position = position / 2
        last = Math.floor(last / 2)
      }
    } else {
      newNode = nodeHash(newNode, sibling)
    }
    position = Math.floor(position / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 && equalBytes(oldNode, oldRoot) && equalBytes(newNode, newRoot)
}

/** The largest power of two smaller than `size` (§2.1). */
function splitPoint(size: number): number {
  let power = 1
  while (power * 2 < size) power *= 2
  return power
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

async function readRanges(ranges: readonly LeafRange[], read: SubtreeReader): Promise<Uint8Array[]> {
  const hashes: Uint8Array[] = []
  for (const range of ranges) hashes.push(await rangeHash(range, read))
  return hashes
}
