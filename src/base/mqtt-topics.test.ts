import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceId } from './id.ts'
import {
  deviceLeaves,
  deviceTopic,
  everyDevice,
  isDeviceLeaf,
  isTopicPrefix,
  parseDeviceTopic,
  serverLeaves,
  sharedFilter,
  topicFits,
} from './mqtt-topics.ts'

const prefix = 'perennial/v1'
const meter = 'meter.A_1:2-3' as DeviceId

test('a topic is read back as the device and the leaf that it was made of', () => {
  for (const leaf of [...serverLeaves, ...deviceLeaves]) {
    const topic = deviceTopic(prefix, meter, leaf)
    assert.deepEqual(parseDeviceTopic(prefix, topic), { deviceId: meter, leaf })
  }
  assert.equal(deviceTopic(prefix, meter, 'csr/accepted'), 'perennial/v1/devices/meter.A_1:2-3/csr/accepted')
})

test('the answers to a request are not what a device publishes', () => {
  assert.equal(isDeviceLeaf('csr'), true)
  for (const leaf of serverLeaves) assert.equal(isDeviceLeaf(leaf), false, leaf)
})

const foreign = [
  '',
  'perennial/v1',
  'perennial/v1/devices/',
  'perennial/v1/devices/meter',
  'perennial/v1/devices/meter/',
  'perennial/v1/devices//csr',
  'perennial/v1/devices/+/csr',
  'perennial/v1/devices/#',
  'perennial/v1/devices/a b/csr',
  'perennial/v1/devices/-meter/csr',
  `perennial/v1/devices/${'m'.repeat(65)}/csr`,
  'perennial/v1/devices/meter/csr/',
  'perennial/v1/devices/meter/csr/rejected/more',
  'perennial/v1/devices/meter/CSR',
  'perennial/v1/devices/meter/../other/csr',
  'perennial/v2/devices/meter/csr',
  '/perennial/v1/devices/meter/csr',
  'other/perennial/v1/devices/meter/csr',
  'perennial/v1/devices/meter\u0000/csr',
]

for (const topic of foreign) {
  test(`is no topic of a device: ${JSON.stringify(topic)}`, () => {
    assert.equal(parseDeviceTopic(prefix, topic), null)
  })
}

test('the longest device id still has topics', () => {
  const longest = 'm'.repeat(64) as DeviceId
  assert.deepEqual(parseDeviceTopic(prefix, deviceTopic(prefix, longest, 'status')), {
    deviceId: longest,
    leaf: 'status',
  })
})

test('filters match one leaf of every device, also shared between nodes', () => {
  assert.equal(everyDevice(prefix, 'csr'), 'perennial/v1/devices/+/csr')
  assert.equal(
    sharedFilter('perennial', everyDevice(prefix, 'csr')),
    '$share/perennial/perennial/v1/devices/+/csr',
  )
})

test('a prefix has no wildcard, no empty level and no system level', () => {
  for (const good of ['perennial/v1', 'p', 'a/b/c-d_e.f:g', 'x'.repeat(128)])
    assert.equal(isTopicPrefix(good), true, good)
  for (const bad of [
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'a/+/b',
    'a/#',
    '$SYS',
    '$share/x',
    'a b',
    'ä',
    'x'.repeat(129),
  ]) {
    assert.equal(isTopicPrefix(bad), false, bad)
  }
})

for (const [filter, topic, fits] of [
  ['a/b', 'a/b', true],
  ['a/+', 'a/b', true],
  ['a/#', 'a/b/c', true],
  ['a/#', 'a', true],
  ['#', 'a/b', true],
  ['+/+', 'a/b', true],
  ['a/+/c', 'a/b/c', true],
  ['a/b', 'a', false],
  ['a', 'a/b', false],
  ['a/+', 'a', false],
  ['a/+', 'a/b/c', false],
  ['a/b/', 'a/b', false],
  ['A/b', 'a/b', false],
] as const) {
  test(`${filter} ${fits ? 'fits' : 'does not fit'} ${topic}`, () =>
    assert.equal(topicFits(filter, topic), fits))
}
