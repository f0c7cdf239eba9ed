/** A way into the mobile network. */
export interface SmsGateway {
  /** Sends that may be under way at one time. */
  readonly parallel: number
  /**
   * @returns the message's name at the provider, for its receipt; null when there will be none
   * @throws Refusal `trigger-failed`, `trigger-impossible` when the provider says that the number is none
   */
  send(message: SmsMessage, signal: AbortSignal): Promise<string | null>
  close(): Promise<void>
}

export interface SmsMessage {
  /** E.164, with its plus. */
  readonly to: string
  /** Of the GSM alphabet, one message long. */
  readonly text: string
  readonly idempotencyKey: string
}
