/**
 * Against server-side request forgery: a notifier reaches public addresses only, unless the configuration names others.
 * What counts is the address that a name resolves to at the moment of the connection, because names are answered by
 * whoever owns them, and differently each time.
 */
import { lookup as systemLookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { Refusal } from '../base/errors.ts'

/** IANA special-purpose address registries (RFC 6890): everything that is not reached over the internet. */
const special4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]
/** Of IPv6 only 2000::/3 is public, without what is tunnelled or documented in it (which could hold any IPv4 address). */
const special6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

const special = new BlockList()
for (const [address, prefix] of special4) special.addSubnet(address, prefix, 'ipv4')
for (const [address, prefix] of special6) special.addSubnet(address, prefix, 'ipv6')
const global6 = new BlockList()
global6.addSubnet('2000::', 3, 'ipv6')

/** An IPv4-mapped address is that IPv4 address to the operating system: `::ffff:127.0.0.1` is this machine. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !special.check(address, 'ipv4')
    case 6:
      return global6.check(address, 'ipv6') && !special.check(address, 'ipv6')
    default:
      return false
  }
}

export type AddressRule = (address: string) => boolean

/** @param allow addresses and networks (`10.1.0.0/16`) beside the public ones. @throws Refusal `configuration-invalid` */
export function addressRule(allow: readonly string[], name: string): AddressRule {
  const allowed = new BlockList()
  for (const text of allow) {
    const [address = '', prefix] = text.split('/')
    const family = isIP(address)
    const most = family === 4 ? 32 : 128
    const length = prefix === undefined ? most : Number(prefix)
    if (family === 0 || !Number.isInteger(length) || length > most)
      throw new Refusal(
        'configuration-invalid',
        `${name}: ${text} is no address and no network like 10.1.0.0/16`,
      )
    allowed.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6')
  }
  return (address) => {
    if (isPublicAddress(address)) return true
    const family = isIP(address)
    return family !== 0 && allowed.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
}

/** Carried out of a look-up, where only errors of the system are expected. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

/** For `net.connect`: gives the addresses that the rule allows, and refuses when one of them is not. */
export function guardedLookup(
  isAllowed: AddressRule,
  lookup: typeof systemLookup = systemLookup,
): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return void callback(error, [])
      // one bad address among good ones is no accident
      if (addresses.length === 0 || addresses.some(({ address }) => !isAllowed(address)))
        return void callback(new AddressRefused('an address inside this network'), [])
      const [first] = addresses
      if (options.all === true) callback(null, addresses)
      else callback(null, first?.address ?? '', first?.family)
    })
  }
}
