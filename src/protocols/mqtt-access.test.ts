import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceId } from '../base/id.ts'
import { mayReceive, maySubscribe, publishLeaf } from './mqtt-access.ts'

const prefix = 'perennial/v1'
const me = 'meter-1' as DeviceId
const own = `${prefix}/devices/meter-1`

test('a device publishes its own requests', () => {
  assert.equal(publishLeaf(prefix, me, `${own}/csr`), 'csr')
  assert.equal(publishLeaf(prefix, me, `${own}/status`), 'status')
  assert.equal(publishLeaf(prefix, me, `${own}/twin/reported`), 'twin/reported')
})

for (const topic of [
  `${own}/renew`,
  `${own}/hint`,
  `${own}/ota`,
  `${own}/twin/desired`,
  `${own}/csr/accepted`,
  `${own}/csr/rejected`,
  `${own}/other`,
  `${prefix}/devices/meter-10/csr`,
  `${prefix}/devices/meter-2/csr`,
  `${prefix}/devices/METER-1/csr`,
  '$SYS/broker',
  'perennial/v1',
  `${own}/csr/../../meter-2/csr`,
]) {
  test(`a device may not publish ${topic}`, () => assert.equal(publishLeaf(prefix, me, topic), null))
}

for (const filter of [`${own}/#`, `${own}/renew`, `${own}/csr/+`, `${own}/+/accepted`]) {
  test(`a device may subscribe to ${filter}`, () => assert.equal(maySubscribe(prefix, me, filter), true))
}

for (const filter of [
  '#',
  '+/#',
  '$SYS/#',
  `${prefix}/#`,
  `${prefix}/devices/#`,
  `${prefix}/devices/+/renew`,
  `${prefix}/devices/meter-1`,
  `${prefix}/devices/meter-1#`,
  `${prefix}/devices/meter-10/renew`,
  `${prefix}/devices/meter-2/renew`,
  `perennial/+/devices/meter-1/renew`,
  `$share/g/${own}/renew`,
  `/${own}/renew`,
  `${own}/${'a/'.repeat(130)}`,
]) {
  test(`a device may not subscribe to ${filter.slice(0, 60)}`, () =>
    assert.equal(maySubscribe(prefix, me, filter), false))
}

test('a device is sent what the platform has for it, and nothing else', () => {
  assert.equal(mayReceive(prefix, me, `${own}/renew`), true)
  assert.equal(mayReceive(prefix, me, `${own}/csr/accepted`), true)
  assert.equal(mayReceive(prefix, me, `${own}/csr`), false)
  assert.equal(mayReceive(prefix, me, `${prefix}/devices/meter-2/renew`), false)
  assert.equal(mayReceive(prefix, me, '$SYS/x/new/clients'), false)
})
