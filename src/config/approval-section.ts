import { approvalActs } from '../engine/proposals/approval-rule.ts'
import { choices, duration, integer, section } from './knob.ts'

export const approvalSection = section(
  'The rule of two persons: acts that one proposes and another allows (`perennial proposal`).',
  {
    require: choices({
      description:
        'Acts that need a second person. Empty, because an installation of one operator could do none of them.',
      enum: approvalActs,
      default: [],
    }),
    fromDevices: integer({
      description:
        'Revocations of fewer devices than this need no second person: a theft at night is one device.',
      minimum: 1,
      maximum: 1_000_000_000,
      default: 1,
    }),
    lifetime: duration({
      description: 'How long a proposal waits before it expires: what it was about may have changed.',
      shortest: '5m',
      longest: '90d',
      default: '3d',
    }),
  },
)
