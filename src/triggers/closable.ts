import { Refusal } from '../base/errors.ts'
import type { TriggerChannel } from '../engine/ports.ts'

/**
 * Adds the end of a channel's life: closing is done once, however often it is asked for, and a closed channel refuses.
 * Sends under way go on; each has its own time-out.
 */
export function closable(
  channel: Omit<TriggerChannel, 'close'>,
  end: () => Promise<void> = async () => {},
): TriggerChannel {
  let closing: Promise<void> | null = null
  return {
    ...channel,
    async send(trigger, signal) {
      if (closing) throw new Refusal('trigger-failed', `the ${channel.kind} channel is closed`)
      return await channel.send(trigger, signal)
    },
    close: () => (closing ??= end()),
  }
}
