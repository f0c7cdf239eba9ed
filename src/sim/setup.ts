/** From the numbers of a scenario to the settings of an installation, its campaign, and the configuration of its agents. */
import { agentDefaults, checkAgentConfig, type AgentConfig } from '../agent/agent-config.ts'
import { minuteMs, type Instant } from '../base/clock.ts'
import type { IssuerId } from '../base/id.ts'
import { parseCampaignDefinition } from '../engine/campaigns/campaign-read.ts'
import type { CampaignDefinition } from '../engine/campaigns/campaign-definition.ts'
import type { EngineSettings } from '../engine/context.ts'
import { defineProfile, type Profile } from '../engine/issuing/profile.ts'
import { defaultRenewalSettings } from '../engine/renewals/renewal-settings.ts'
import { issuingId } from './installation.ts'
import type { Scenario } from './scenario.ts'

export const campaignId = 'simulated'
export const profileName = 'simulated'
export const connectivityName = 'simulated'

export function simulatedProfile({ values }: Scenario, issuer: IssuerId = issuingId): Profile {
  return defineProfile({
    name: profileName,
    issuer,
    validityMs: values['certificate.life'],
    jitterMs: values['certificate.jitter'],
    renewBeforeMs: values['renewal.before'],
    retireAfterMs: values['renewal.grace'],
    connectivity: connectivityName,
  })
}

export function simulatedSettings(scenario: Scenario, issuer: IssuerId = issuingId): EngineSettings {
  if (scenario.copy) return scenario.copy.settings
  const { values, ladder } = scenario
  return {
    organization: 'Simulated',
    profiles: new Map([[profileName, simulatedProfile(scenario, issuer)]]),
    connectivity: new Map([
      [connectivityName, { checkInMs: Math.max(values['contact.every'], values['contact.sleep']), ladder }],
    ]),
    statusUrl: 'http://status.example',
    secretLifetimeMs: 1,
    pendingRetryAfterMs: 600_000,
    abandonAfterMs: 300_000,
    repeatWaitMs: 5_000,
    renewal: {
      ...defaultRenewalSettings,
      // with a campaign for all of them, nothing is left for the sweep
      isAutomatic: scenario.campaign === null,
      sweepIntervalMs: 24 * 60 * minuteMs,
      maximumPerMinute: 1_000_000,
    },
  }
}

export function simulatedCampaign(scenario: Scenario, now: Instant): CampaignDefinition {
  if (scenario.copy) return scenario.copy.campaign
  const { values, campaign } = scenario
  // a tick that comes late lets in no more than the rate of one minute
  const perTick = (values.devices * Math.max(values.tick, minuteMs)) / values['campaign.window']
  const maximumPerMinute = Math.min(1_000_000, Math.max(1, Math.ceil(perTick)))
  return parseCampaignDefinition(
    { selection: { profile: profileName }, rollout: { maximumPerMinute }, ...campaign },
    now,
  )
}

export function simulatedAgent({ values }: Scenario): AgentConfig {
  return checkAgentConfig({
    ...agentDefaults,
    renewAt: values['agent.renewAt'],
    deviceId: 'SIM-00000000',
    server: 'https://est.example',
    // messages come over MQTT: nobody asks for hints
    hints: false,
  })
}
