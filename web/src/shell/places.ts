/** The pages, as the rail, the palette and the keys know them. */
export interface Place {
  readonly to: string
  readonly name: string
  /** After `g`. */
  readonly key: string
  readonly permission: string
}

export const places: readonly (readonly [group: string, places: readonly Place[]])[] = [
  [
    'Fleet',
    [
      { to: '/', name: 'Overview', key: 'o', permission: 'inventory:read' },
      { to: '/devices', name: 'Devices', key: 'd', permission: 'inventory:read' },
      { to: '/expiry', name: 'Expiry', key: 'e', permission: 'inventory:read' },
      { to: '/campaigns', name: 'Campaigns', key: 'c', permission: 'inventory:read' },
    ],
  ],
  [
    'Needs people',
    [
      { to: '/field-list', name: 'Field list', key: 'f', permission: 'inventory:read' },
      { to: '/alerts', name: 'Alerts', key: 'a', permission: 'alerts:read' },
      { to: '/cases', name: 'Cases', key: 'k', permission: 'inventory:read' },
      { to: '/approvals', name: 'Approvals', key: 'p', permission: 'proposals:read' },
    ],
  ],
  [
    'Trust',
    [
      { to: '/issuers', name: 'Issuers', key: 'i', permission: 'inventory:read' },
      { to: '/revocation', name: 'Revocation', key: 'r', permission: 'inventory:read' },
      { to: '/audit', name: 'Audit', key: 'u', permission: 'audit:read' },
    ],
  ],
  [
    'Platform',
    [
      { to: '/protocols', name: 'Protocols', key: 'l', permission: 'inventory:read' },
      { to: '/webhooks', name: 'Webhooks', key: 'w', permission: 'webhooks:read' },
      { to: '/operators', name: 'Operators', key: 't', permission: 'operators:read' },
      { to: '/system', name: 'System', key: 's', permission: 'inventory:read' },
    ],
  ],
]

export const allPlaces: readonly Place[] = places.flatMap(([, each]) => each)
