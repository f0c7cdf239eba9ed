import { createHmac } from 'node:crypto'

/**
 * Goes into the URL to which a gateway without signatures (Kannel) reports, and proves that the report is about a message
 * of ours; without it anyone could have deliveries believed.
 * @param secret known to this installation only
 */
export function smsReceiptToken(reference: string, secret: string): string {
  return createHmac('sha256', secret).update(`perennial-sms-receipt\0${reference}`).digest('hex').slice(0, 32)
}
