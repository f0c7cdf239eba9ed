/** The inventory of certificates, and the certificates themselves. */
import { Type } from 'typebox'
import { Refusal } from '../../base/errors.ts'
import type { CertificateId } from '../../base/id.ts'
import { certificateList, certificateSorts, oneCertificate } from '../../engine/inventory/listing.ts'
import type { CertificateRow } from '../../engine/inventory/inventory.ts'
import { issuerChain } from '../../engine/issuing/issuer.ts'
import { isInScope, type DeviceScope } from '../../engine/operators/permissions.ts'
import type { Engine } from '../../engine/context.ts'
import { certificateResource } from '../../filter/resources.ts'
import { encodePem } from '../../pki/pem.ts'
import { filtering, listRequest } from '../listing.ts'
import { once } from '../once.ts'
import { pageAnswer } from '../paging.ts'
import { object, route, StreamedAnswer, type Route } from '../route.ts'
import { nullable, pageOf, paging, sparse } from '../schemas.ts'
import { certificate, certificateProperties, certificateView } from '../views/certificate.ts'

const params = { id: Type.Integer({ minimum: 1, description: 'Row of the inventory.' }) }

const pemType = 'application/x-pem-file'
const derType = 'application/pkix-cert'

export const certificateRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/certificates',
    operationId: 'listCertificates',
    summary: 'Certificates by filter',
    description:
      'As they came into the inventory; with a filter on `expires` in the order of their ends. A page may have fewer items than asked for and still name a next one.',
    permission: 'inventory:read',
    scope: 'device',
    query: { ...paging, ...sparse, ...filtering(certificateResource, certificateSorts) },
    response: pageOf(certificate),
    examples: [
      { summary: 'The newest', query: { sort: '-id', limit: 5 } },
      { summary: 'What ends within 90 days at a site', query: { filter: 'expires<90d site=kl' } },
      { summary: 'What a device has had', query: { filter: 'device=meter-1' } },
    ],
    async handler({ engine, scope, query, now }) {
      const page = await certificateList(engine, listRequest(query, scope))
      return pageAnswer(page, (row) => certificateView(row, now), query.sort)
    },
  }),
  route({
    method: 'GET',
    path: '/certificates/{id}',
    operationId: 'getCertificate',
    summary: 'A certificate, with its PEM',
    permission: 'inventory:read',
    scope: 'device',
    params,
    query: sparse,
    response: object(
      {
        ...certificateProperties,
        pem: nullable(Type.String({ description: 'Null when it was never handed out.' })),
      },
      { $id: 'CertificateDetails' },
    ),
    examples: [{ summary: 'One of them', params: { id: '3' } }],
    async handler({ engine, scope, params: { id }, now }) {
      const row = await find(engine, scope, id)
      return {
        ...certificateView(row, now),
        pem: row.der === null ? null : encodePem('CERTIFICATE', row.der),
      }
    },
  }),
  route({
    method: 'GET',
    path: '/certificates/{id}/pem',
    operationId: 'getCertificatePem',
    summary: 'The certificate in PEM, with its chain if that is asked for',
    permission: 'inventory:read',
    scope: 'device',
    params,
    query: { chain: Type.Optional(Type.Boolean({ description: 'Its issuers too, up to the root.' })) },
    answersStream: [pemType],
    examples: [{ summary: 'With its chain', params: { id: '3' }, query: { chain: true } }],
    async handler({ engine, scope, params: { id }, query }) {
      const row = await find(engine, scope, id)
      const chain = query.chain === true ? await issuerChain(engine, row.issuerId) : []
      const pem = [derOf(row), ...chain].map((der) => encodePem('CERTIFICATE', der)).join('')
      return attached(pemType, pem, `${row.serialNumber}.pem`)
    },
  }),
  route({
    method: 'GET',
    path: '/certificates/{id}/der',
    operationId: 'getCertificateDer',
    summary: 'The certificate in DER',
    permission: 'inventory:read',
    scope: 'device',
    params,
    answersStream: [derType],
    examples: [{ summary: 'One of them', params: { id: '3' } }],
    async handler({ engine, scope, params: { id } }) {
      const row = await find(engine, scope, id)
      return attached(derType, derOf(row), `${row.serialNumber}.cer`)
    },
  }),
]

/** @throws Refusal `not-found`, also outside the scope: that it exists is not told */
async function find(engine: Engine, scope: DeviceScope, id: number): Promise<CertificateRow> {
  const row = await oneCertificate(engine, id as CertificateId)
  if (row && isInScope(row, scope)) return row
  throw new Refusal('not-found', `there is no certificate ${id}`)
}

function derOf({ der, status, serialNumber }: CertificateRow): Uint8Array {
  if (der !== null) return der
  throw new Refusal('not-found', `certificate ${serialNumber} is ${status}: it was never handed out`)
}

function attached(type: string, data: string | Uint8Array, name: string): StreamedAnswer {
  return new StreamedAnswer(type, once(data), { 'content-disposition': `attachment; filename="${name}"` })
}
