/** @peculiar/x509, the oracle: `import { x509 } from '../helpers/peculiar.ts'`. */
import { webcrypto } from 'node:crypto'

// Its dependency injection wants three functions of the `reflect-metadata` package. An oracle need not cost us that.
const metadata = new WeakMap<object, Map<unknown, unknown>>()

function getOwnMetadata(key: unknown, target: object): unknown {
  return metadata.get(target)?.get(key)
}

function getMetadata(key: unknown, target: object): unknown {
  for (let owner: object | null = target; owner !== null; owner = Reflect.getPrototypeOf(owner)) {
    if (metadata.get(owner)?.has(key)) return getOwnMetadata(key, owner)
  }
  return undefined
}

function defineMetadata(key: unknown, value: unknown, target: object): void {
  const own = metadata.get(target) ?? new Map<unknown, unknown>()
  metadata.set(target, own.set(key, value))
}

Object.assign(Reflect, { getMetadata, getOwnMetadata, defineMetadata })

export const x509 = await import('@peculiar/x509')
x509.cryptoProvider.set(webcrypto)
