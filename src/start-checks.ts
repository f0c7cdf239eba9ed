/** What is asked once at the start of the platform, before anybody can connect. */
import type { App } from './app.ts'
import { canonicalJson } from './base/canonical-json.ts'
import { commandName } from './base/command-name.ts'
import { Refusal } from './base/errors.ts'
import { effectiveKeys } from './config/print.ts'
import { actors, fact, recordFacts, subjects } from './engine/audit/audit.ts'
import { checkPolicyRules } from './engine/issuing/policy-rules.ts'
import { readMeta, writeMeta } from './store/meta.ts'

/**
 * The rules over profiles and issuers.
 * @throws Refusal `configuration-invalid` with the first error: an installation that breaks them must not issue
 */
export async function requirePolicy({ engine }: App): Promise<void> {
  const { profiles, connectivity } = engine.settings
  const issuers = await engine.issuers.list()
  const findings = checkPolicyRules({
    profiles,
    connectivity,
    issuers,
    ...(engine.settings.crl ? { crl: engine.settings.crl } : {}),
    now: engine.clock.now(),
  })
  const [first, ...others] = findings.filter(({ severity }) => severity === 'error')
  if (!first) return
  const about = first.profile === null ? `issuer ${first.issuer}` : `profile ${first.profile}`
  const more = others.length === 0 ? '' : ` (and ${others.length} more: ${commandName()} policy check)`
  throw new Refusal('configuration-invalid', `${about}: ${first.message}${more}`)
}

/** Settings that decide who gets what certificate, or who may see what. Ports and limits may differ from node to node. */
const watchedKeys: ReadonlySet<string> = new Set([
  'organization',
  'est.tlsMinVersion',
  'est.clientCertHeader',
  'est.proxyFingerprint',
  'status.url',
  'admin.insecureExpose',
  'enrollment.secretLifetime',
  'audit.sealInterval',
  'recovery.abandonAfter',
])

/** In the database: what was in force when it was last looked at. */
const metaKey = 'settings-in-force'

type Plain = string | number | boolean | null

// type aliases: canonicalJson takes what has no more fields than it says
type InForce = {
  readonly settings: Readonly<Record<string, Plain>>
  /** Content hashes by name. */
  readonly profiles: Readonly<Record<string, string>>
}

/** Puts on record which settings and profiles are others than at the last start. The first time there is nothing to compare. */
export async function recordSettingsChanges({ config, engine }: App): Promise<void> {
  const current = inForce({ config })
  const text = canonicalJson(current)
  const now = engine.clock.now()
  await engine.store.transaction(async (tx) => {
    const stored = await readMeta(tx, metaKey)
    if (stored === text) return
    await writeMeta(tx, metaKey, text)
    if (stored === null) return
    const before = JSON.parse(stored) as InForce
    const actor = actors.system
    const facts = changesOf(before.profiles, current.profiles).map(({ key, ...change }) =>
      fact(now, { actor, action: 'profile.changed', subject: subjects.profile(key), details: change }),
    )
    const changes = changesOf(before.settings, current.settings)
    if (changes.length > 0) {
      facts.push(
        fact(now, {
          actor,
          action: 'configuration.changed',
          subject: subjects.instance,
          details: { changes },
        }),
      )
    }
    await recordFacts(tx, ...facts)
  })
}

function inForce({ config }: Pick<App, 'config'>): InForce {
  const settings = effectiveKeys(config, new Map()).map(
    ({ path, value }) => [path.join('.'), plain(value)] as const,
  )
  const profiles = [...config.profiles].map(([name, { contentHash }]) => [name, contentHash] as const)
  return {
    settings: Object.fromEntries(settings.filter(([key]) => watchedKeys.has(key))),
    profiles: Object.fromEntries(profiles),
  }
}

type Change = {
  readonly key: string
  /** Null: it was not there. */
  readonly before: Plain
  readonly after: Plain
}

function changesOf(
  before: Readonly<Record<string, Plain>>,
  after: Readonly<Record<string, Plain>>,
): Change[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  return keys.flatMap((key) => {
    const change = { key, before: before[key] ?? null, after: after[key] ?? null }
    return change.before === change.after ? [] : [change]
  })
}

function plain(value: unknown): Plain {
  if (value === undefined || value === null) return null
  return typeof value === 'object' ? JSON.stringify(value) : (value as Plain)
}
