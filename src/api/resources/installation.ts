/** What this installation is, for whoever is logged in to it. */
import { Type } from 'typebox'
import { encodeVerifierKey } from '../../engine/audit/signed-note.ts'
import { object, route, type Route } from '../route.ts'

/** Only the demo writes this profile into a configuration. */
const demoProfile = 'demo-valve'

export const installationRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/installation',
    operationId: 'getInstallation',
    summary: 'Whose installation this is',
    permission: 'self',
    scope: 'shared',
    response: object(
      {
        organization: Type.String({ description: 'As it stands in certificates.' }),
        isDemo: Type.Boolean({ description: 'Its devices are simulated.' }),
        auditKey: Type.String({
          description:
            'Verifier key of the audit log (C2SP signed-note): compare it with the one kept elsewhere.',
        }),
      },
      { $id: 'Installation' },
    ),
    examples: [{ summary: 'This one' }],
    async handler({ engine: { settings, audit } }) {
      return {
        organization: settings.organization,
        isDemo: settings.profiles.has(demoProfile),
        auditKey: encodeVerifierKey(audit.signer),
      }
    },
  }),
]
