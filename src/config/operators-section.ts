import { duration, flag, optionalText, section, text } from './knob.ts'

export const operatorsSection = section(
  'Accounts of the people and programs that use the REST API and the dashboard.',
  {
    sessionIdle: duration({
      description: 'A session of a browser that is not used for so long has ended.',
      shortest: '1m',
      longest: '24h',
      default: '30m',
    }),
    sessionLifetime: duration({
      description: 'A session ends after this, however much it is used.',
      shortest: '5m',
      longest: '7d',
      default: '12h',
    }),
    stepUp: duration({
      description:
        'How long after password and code a dangerous act (a revocation, a new issuer) needs no second look.',
      shortest: '1s',
      longest: '12h',
      default: '10m',
    }),
    linkLifetime: duration({
      description:
        'How long the link may be used on which a person sets his password. That of the first start: 30 minutes.',
      shortest: '5m',
      longest: '7d',
      default: '24h',
    }),
    oidcIssuer: optionalText({
      description:
        'OpenID provider with which accounts made with --oidc log in; it must know ADMIN-URL/auth/oidc/callback. Unset: none.',
      pattern: '^https?://[^ ]+$',
      example: 'https://id.example.com',
    }),
    oidcClientId: text({
      description: 'What the provider calls us.',
      pattern: '^[!-~]{1,256}$',
      default: 'perennial',
    }),
    oidcClientSecret: optionalText({
      description: 'What we show the provider. Unset: a public client, PKCE alone.',
      pattern: '^[!-~]{1,512}$',
      secret: true,
    }),
    insecurePasswordOnly: flag({
      description: 'Accounts with a password need no authenticator app (TOTP).',
      default: false,
    }),
  },
)
