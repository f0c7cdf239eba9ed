/** `sites:`: where devices stand, as their records name it, and which clock hangs there. */
import { isTimeZone } from '../engine/campaigns/campaign-cron.ts'
import { defaultCampaignSettings, type Site } from '../engine/campaigns/campaign-settings.ts'
import { checkMap, type CheckContext } from './check.ts'
import { integer, section, text } from './knob.ts'

export const siteEntry = section('A site: what device records have in `site`.', {
  timeZone: text({
    description: 'Its time zone (IANA), in which maintenance windows of campaigns are meant.',
    maxLength: 64,
    default: defaultCampaignSettings.timeZone,
  }),
})

export const campaignsSection = section('Renewal campaigns.', {
  capacityPerMinute: integer({
    description:
      'Renewals per minute that this installation and its network bear: what `campaign plan` compares the rate with.',
    unit: 'per minute',
    minimum: 1,
    maximum: 10_000_000,
    default: defaultCampaignSettings.capacityPerMinute,
  }),
  timeZone: text({
    description: 'Time zone (IANA) of devices without a site and of sites that `sites:` does not name.',
    maxLength: 64,
    default: defaultCampaignSettings.timeZone,
  }),
})

/** Names of sites are free text, as in the device records. */
export function checkSites(given: unknown, context: CheckContext): ReadonlyMap<string, Site> {
  const sites = new Map<string, Site>()
  for (const [name, { timeZone }] of checkMap(siteEntry, given, ['sites'], context)) {
    const path = ['sites', name]
    if (timeZone === undefined) {
      context.problems.push({
        where: context.where(path),
        message: `sites.${name} needs timeZone, such as Europe/Vienna`,
      })
      continue
    }
    checkTimeZone(timeZone, [...path, 'timeZone'], context)
    sites.set(name, { timeZone: isTimeZone(timeZone) ? timeZone : defaultCampaignSettings.timeZone })
  }
  return sites
}

/** Two spellings of a time zone may differ by one letter and ten hours: an unknown one is never taken for UTC in silence. */
export function checkTimeZone(name: string, path: readonly string[], context: CheckContext): void {
  if (isTimeZone(name)) return
  context.problems.push({
    where: context.where(path),
    message: `${path.join('.')}: ${name} is no time zone of the IANA database, such as Europe/Vienna`,
  })
}
