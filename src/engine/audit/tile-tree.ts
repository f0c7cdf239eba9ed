/** The growing edge of the Merkle tree: takes leaf hashes, gives tiles and roots. Memory does not grow with the tree. */
import { assert } from '../../base/errors.ts'
import { emptyRoot, hashBytes, nodeHash, perfectRoot } from './merkle.ts'
import { partialTiles, tileWidth, widthAt, type TileCoordinates } from './tile.ts'

export interface Tile extends TileCoordinates {
  /** 1 to 256 hashes of 32 bytes. */
  readonly hashes: Uint8Array
}

interface OpenTile {
  index: number
  width: number
  readonly hashes: Uint8Array
  /** True when hashes came in since the tile was last taken. */
  isChanged: boolean
}

/**
 * Two views of one edge: `#peaks` are the roots of the perfect subtrees that make up the tree, largest first (one per
 * set bit of the size); `#open` are the tiles that are not full. A node that closes a tile is computed once, on its way
 * into the peaks, so an entry costs one leaf hash and on average one node hash.
 */
export class TileTree {
  #size = 0
  readonly #peaks: Uint8Array[] = []
  readonly #open: OpenTile[] = []
  #full: Tile[] = []

  get size(): number {
    return this.#size
  }

  /** Continues a tree of `size` leaves from its partial tiles, which are those that `partialTiles(size)` names. */
  static resume(size: number, partials: readonly Tile[]): TileTree {
    const tree = new TileTree()
    tree.#size = size
    const wanted = partialTiles(size)
    for (const { level, index } of wanted) {
      const tile = partials.find((other) => other.level === level && other.index === index)
      const width = widthAt({ level, index }, size)
      assert(
        tile && tile.hashes.byteLength === width * hashBytes,
        `tile ${level}/${index} is ${width} hashes wide`,
      )
      tree.#openTile(level, index).hashes.set(tile.hashes)
      tree.#openTile(level, index).width = width
      // from the lowest level up and within a tile from right to left, each peak stands before those already found
      let end = width
      for (let count = 1; count <= width; count *= 2) {
        if (Math.floor(width / count) % 2 === 0) continue
        tree.#peaks.unshift(perfectRoot(tile.hashes.subarray((end - count) * hashBytes, end * hashBytes)))
        end -= count
      }
    }
    return tree
  }

  append(leaf: Uint8Array): void {
    let node = leaf
    let treeLevel = 0
    this.#keep(0, node)
    for (let position = this.#size; position % 2 === 1; position = Math.floor(position / 2)) {
      const left = this.#peaks.pop()
      assert(left, 'the tree has one peak for each set bit of its size')
      node = nodeHash(left, node)
      treeLevel += 1
      if (treeLevel % 8 === 0) this.#keep(treeLevel / 8, node)
    }
    this.#peaks.push(node)
    this.#size += 1
  }

  /** RFC 6962 §2.1: the peaks folded from the right. */
  root(): Uint8Array {
    return this.#peaks.length === 0
      ? emptyRoot
      : this.#peaks.reduceRight((right, left) => nodeHash(left, right))
  }

  /** Tiles that came to be or grew since the last call: the full ones in the order they filled, then the partial ones. */
  takeTiles(): Tile[] {
    const tiles = this.takeFullTiles()
    for (const [level, open] of this.#open.entries()) {
      if (!open.isChanged || open.width === 0) continue
      tiles.push({ level, index: open.index, hashes: open.hashes.slice(0, open.width * hashBytes) })
      open.isChanged = false
    }
    return tiles
  }

  /** Only the tiles that filled since the last call. */
  takeFullTiles(): Tile[] {
    const tiles = this.#full
    this.#full = []
    return tiles
  }

  #keep(level: number, hash: Uint8Array): void {
    const open = this.#openTile(level, null)
    open.hashes.set(hash, open.width * hashBytes)
    open.width += 1
    open.isChanged = true
    if (open.width < tileWidth) return
    this.#full.push({ level, index: open.index, hashes: open.hashes.slice() })
    open.index += 1
    open.width = 0
    open.isChanged = false
  }

  #openTile(level: number, index: number | null): OpenTile {
    for (let next = this.#open.length; next <= level; next += 1) {
      // a level whose tile is not among the partial ones starts a tile: the size is a multiple of a full tile there
      const first = Math.floor(this.#size / tileWidth ** (next + 1))
      this.#open.push({
        index: first,
        width: 0,
        hashes: new Uint8Array(tileWidth * hashBytes),
        isChanged: false,
      })
    }
    const open = this.#open[level] as OpenTile
    assert(index === null || open.index === index, 'the open tile is the one after the last full tile')
    return open
  }
}
