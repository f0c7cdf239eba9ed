/** What campaigns need to know of this installation; `campaigns` and `sites` of the configuration. */

export interface CampaignSettings {
  /** Renewals per minute that this installation and its network bear. */
  readonly capacityPerMinute: number
  /** Of sites that the configuration does not name. */
  readonly timeZone: string
}

export const defaultCampaignSettings: CampaignSettings = { capacityPerMinute: 6_000, timeZone: 'UTC' }

export interface Site {
  /** Of the IANA database, such as `Europe/Vienna`: maintenance windows are meant in it. */
  readonly timeZone: string
}
