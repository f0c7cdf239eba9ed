/** Issuers: their place in the tree, their horizon, what stands under them, and the CRLs that they publish. */
import { Type, type Static } from 'typebox'
import { iso } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { Engine } from '../../engine/context.ts'
import { issuerLeaves, type IssuerLeaves } from '../../engine/issuing/issuer-leaves.ts'
import type { IssuerRecord } from '../../engine/issuing/issuer.ts'
import { crlHistory } from '../../engine/revocation/crl.ts'
import { encodePem } from '../../pki/pem.ts'
import { object, route, type Route } from '../route.ts'
import { instant, nullable, oneOf, sparse } from '../schemas.ts'
import { count, isoOrNull, text } from '../views/values.ts'

const issuerProperties = {
  id: text,
  kind: text,
  subject: text,
  parent: nullable(Type.String({ description: 'Who signed it; null for a root.' })),
  keyAlgorithm: text,
  authority: Type.String({ description: 'Kind of what holds its key.' }),
  keyReference: text,
  status: oneOf(['active', 'retired', 'revoked', 'external', 'unfinished', 'expired']),
  subjectKeyIdentifier: text,
  notBefore: instant,
  notAfter: instant,
  issuesUntil: nullable(
    Type.String({
      format: 'date-time',
      description: 'From here on a certificate of the longest of its profiles would outlive it.',
    }),
  ),
  crlShards: count,
  createdAt: instant,
  leaves: Type.Integer({ minimum: 0, description: 'Live certificates under it.' }),
  firstLeafEnds: nullable(instant),
  lastLeafEnds: nullable(instant),
}

const issuer = object(issuerProperties, { $id: 'Issuer' })
const params = { id: Type.String({ minLength: 1, maxLength: 64, pattern: '^[a-z0-9][a-z0-9-]*$' }) }

const crl = object(
  {
    issuer: text,
    kind: oneOf(['complete', 'delta', 'shard']),
    shard: count,
    number: count,
    thisUpdate: instant,
    nextUpdate: instant,
    isLapsed: Type.Boolean({ description: 'Verifiers refuse whom they check with it.' }),
    entries: count,
    size: Type.Integer({ minimum: 0, description: 'Bytes.' }),
    sha256: text,
  },
  { $id: 'Crl' },
)

export const issuerRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/issuers',
    operationId: 'listIssuers',
    summary: 'All issuers; `parent` makes them a tree',
    permission: 'inventory:read',
    scope: 'shared',
    query: sparse,
    response: object({ items: Type.Array(issuer) }, { $id: 'Issuers' }),
    examples: [{ summary: 'All' }],
    async handler({ engine, now }) {
      const leaves = await issuerLeaves(engine)
      const records = await engine.issuers.list()
      return { items: records.map((record) => issuerView(engine, record, { leaves, now })) }
    },
  }),
  route({
    method: 'GET',
    path: '/issuers/{id}',
    operationId: 'getIssuer',
    summary: 'An issuer with its certificate in PEM',
    permission: 'inventory:read',
    scope: 'shared',
    params,
    query: sparse,
    response: object({ ...issuerProperties, pem: nullable(text) }, { $id: 'IssuerDetails' }),
    examples: [{ summary: 'One of them', params: { id: 'issuing' } }],
    async handler({ engine, params: { id }, now }) {
      const record = (await engine.issuers.list()).find((each) => each.id === id)
      if (!record) throw new Refusal('not-found', `there is no issuer ${id}`)
      const { certificate } = record
      return {
        ...issuerView(engine, record, { leaves: await issuerLeaves(engine), now }),
        pem: certificate === null ? null : encodePem('CERTIFICATE', certificate),
      }
    },
  }),
  route({
    method: 'GET',
    path: '/crls',
    operationId: 'listCrls',
    summary: 'The newest CRL of each issuer, kind and shard, and how fresh it is',
    permission: 'inventory:read',
    scope: 'shared',
    query: { ...sparse, issuer: Type.Optional(params.id) },
    response: object({ items: Type.Array(crl) }, { $id: 'Crls' }),
    examples: [{ summary: 'All' }, { summary: 'Of one issuer', query: { issuer: 'issuing' } }],
    async handler({ engine, query, now }) {
      const newest = new Map<string, Static<typeof crl>>()
      for (const record of await crlHistory(engine, query.issuer as IssuerRecord['id'] | undefined)) {
        const { issuerId, kind, shard, number, thisUpdate, nextUpdate, entries, size, sha256 } = record
        const key = `${issuerId} ${kind} ${shard}`
        // the newest of its scope comes first
        if (newest.has(key)) continue
        newest.set(key, {
          issuer: issuerId,
          kind,
          shard,
          number,
          thisUpdate: iso(thisUpdate),
          nextUpdate: iso(nextUpdate),
          isLapsed: now >= nextUpdate,
          entries,
          size,
          sha256,
        })
      }
      return { items: [...newest.values()] }
    },
  }),
]

function issuerView(
  { settings }: Engine,
  record: IssuerRecord,
  { leaves, now }: { readonly leaves: ReadonlyMap<string, IssuerLeaves>; readonly now: number },
): Static<typeof issuer> {
  const { id, kind, subject, parentId, keyAlgorithm, authority, keyReference, certificate } = record
  const { status, notAfter } = record
  const under = leaves.get(id)
  const lives = [...settings.profiles.values()].flatMap((profile) =>
    profile.issuer === id && profile.validityMs !== null ? [profile.validityMs] : [],
  )
  return {
    id,
    kind,
    subject,
    parent: parentId,
    keyAlgorithm,
    authority,
    keyReference,
    status:
      kind === 'external'
        ? 'external'
        : certificate === null
          ? 'unfinished'
          : notAfter < now
            ? 'expired'
            : status,
    subjectKeyIdentifier: record.subjectKeyIdentifier,
    notBefore: iso(record.notBefore),
    notAfter: iso(notAfter),
    issuesUntil: lives.length === 0 ? null : iso(notAfter - Math.max(...lives)),
    crlShards: record.crlShards,
    createdAt: iso(record.createdAt),
    leaves: under?.count ?? 0,
    firstLeafEnds: isoOrNull(under?.firstEnds ?? null),
    lastLeafEnds: isoOrNull(under?.lastEnds ?? null),
  }
}
