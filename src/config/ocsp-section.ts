import { integer, section } from './knob.ts'

export const ocspSection = section('OCSP (RFC 6960), served by the status endpoint.', {
  liveSignatures: integer({
    description:
      'Signatures per second of one process that anybody can ask for: for a nonce, for several certificates at once, for serial numbers that were never issued. Beyond it nonces are passed over and the others are told to try later, so that a flood costs no more than this.',
    unit: 'per second',
    minimum: 1,
    maximum: 1_000_000,
    default: 5_000,
  }),
})
