import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BrokerMemory } from './broker-memory.ts'

const prefix = 'perennial/v1'
const topic = (device: string, leaf: string) => `${prefix}/devices/${device}/${leaf}`
const message = (device: string, leaf: string, payload: string) => ({ topic: topic(device, leaf), payload })

async function found(memory: BrokerMemory, ...filters: string[]): Promise<unknown[]> {
  const packets = (await memory.createRetainedStreamCombi(filters).toArray()) as { payload: string }[]
  return packets.map(({ payload }) => payload)
}

test('what is retained is found by its topic and by wildcards inside the subtree, once', async () => {
  const memory = new BrokerMemory(prefix)
  await memory.storeRetained(message('a', 'renew', 'trigger'))
  await memory.storeRetained(message('a', 'twin/desired', 'twin'))
  await memory.storeRetained(message('b', 'renew', 'other'))
  assert.deepEqual(await found(memory, topic('a', 'renew')), ['trigger'])
  assert.deepEqual(await found(memory, topic('a', '#')), ['trigger', 'twin'])
  assert.deepEqual(await found(memory, topic('a', '+'), topic('a', 'renew')), ['trigger'])
  assert.deepEqual(await found(memory, topic('c', '#')), [])
})

test('a newer message replaces, an empty one removes, and nothing of the device is left', async () => {
  const memory = new BrokerMemory(prefix)
  await memory.storeRetained(message('a', 'renew', 'one'))
  await memory.storeRetained(message('a', 'renew', 'two'))
  assert.deepEqual(await found(memory, topic('a', '#')), ['two'])
  assert.equal(memory.devices, 1)
  await memory.storeRetained(message('a', 'renew', ''))
  await memory.storeRetained(message('a', 'renew', ''))
  assert.deepEqual(await found(memory, topic('a', '#')), [])
  assert.equal(memory.devices, 0)
})

test('QoS 2 messages under way are known until they are released, per session', async () => {
  const memory = new BrokerMemory(prefix)
  const one = { id: 'one' }
  await memory.incomingStorePacket(one, { ...message('a', 'csr', 'x'), messageId: 7 })
  assert.equal((await memory.incomingGetPacket(one, { messageId: 7 })).payload, 'x')
  await assert.rejects(memory.incomingGetPacket({ id: 'two' }, { messageId: 7 }))
  await memory.incomingDelPacket(one, { messageId: 7 })
  await assert.rejects(memory.incomingGetPacket(one, { messageId: 7 }))
  await assert.rejects(memory.incomingDelPacket(one, { messageId: 7 }))
  await memory.incomingStorePacket(one, { ...message('a', 'csr', 'x'), messageId: 8 })
  await memory.cleanIncoming(one)
  await assert.rejects(memory.incomingGetPacket(one, { messageId: 8 }))
})
