/**
 * The field list as a channel, so that ladders are uniform. The engine itself writes the list when a renewal climbs to
 * this rung; what remains to be done here is nothing.
 */
import type { Extension } from '../base/extension.ts'
import type { TriggerChannel } from '../engine/ports.ts'

export const field: Extension<Readonly<Record<never, never>>, TriggerChannel> = {
  kind: 'field',
  optionSchema: { type: 'object', additionalProperties: false, properties: {} },
  create: async () => createFieldChannel(),
}

export function createFieldChannel(): TriggerChannel {
  return {
    kind: 'field',
    parallel: 16,
    async send(_trigger, signal) {
      signal.throwIfAborted()
      return { reference: null }
    },
    close: async () => {},
  }
}
