// Generated from the OpenAPI document by `npm run docs`. Do not edit.

export type Alert = { readonly id: number; readonly rule: string; readonly key: string; readonly severity: 'notice' | 'warning' | 'critical'; readonly status: 'open' | 'resolved'; readonly count: number; readonly summary: string; readonly openedAt: string; readonly resolvedAt: string | null; readonly acknowledgedAt: string | null; readonly acknowledgedBy: string | null; readonly note: string | null; readonly silencedUntil: string | null }

export type AlertAcknowledgement = { readonly note?: string | undefined }

export type AlertDetails = { readonly alert: Alert; readonly notifications: readonly Notification[] }

export type AlertSilence = { readonly for: string; readonly reason: string }

export type ApprovedWave = { readonly campaign: string; readonly wave: number; readonly status: string }

export type Attempt = { readonly id: number; readonly rung: number; readonly attempt: number; readonly channel: string; readonly status: string; readonly detail: string | null; readonly reference: string | null; readonly at: string; readonly updatedAt: string }

export type Campaign = { readonly id: string; readonly name: string; readonly description: string; readonly status: 'draft' | 'running' | 'paused' | 'completed' | 'aborted'; readonly revision: number; readonly reason: string | null; readonly targets: number; readonly admitted: number; readonly createdBy: string; readonly createdAt: string; readonly startedAt: string | null; readonly pausedAt: string | null; readonly endedAt: string | null }

/** As a campaign file has it (docs/campaigns.md): selection, canary, waves, rollout, brakes and so on. */
export type CampaignDefinition = Readonly<Record<string, unknown>>

export type CampaignDetails = { readonly id: string; readonly name: string; readonly description: string; readonly status: 'draft' | 'running' | 'paused' | 'completed' | 'aborted'; readonly revision: number; readonly reason: string | null; readonly targets: number; readonly admitted: number; readonly createdBy: string; readonly createdAt: string; readonly startedAt: string | null; readonly pausedAt: string | null; readonly endedAt: string | null; readonly counts: Readonly<Record<string, number>>; readonly trouble: Readonly<Record<string, number>>; readonly ratePerMinute: number; readonly waitsFor: string | null; readonly normalDarknessPercent: number; readonly left: Readonly<Record<string, number>>; readonly waves: readonly Wave[] }

export type CampaignOrder = { readonly reason?: string | undefined }

export type CampaignPlan = { readonly selected: number; readonly targets: number; readonly left: readonly { readonly reason: string; readonly count: number }[]; readonly lastSeen: readonly { readonly days: number | null; readonly isNever: boolean; readonly count: number }[]; readonly byConnectivity: readonly { readonly name: string; readonly count: number }[]; readonly normalDarknessPercent: number; readonly rate: { readonly perMinute: number; readonly perDay: number; readonly capacityPerDay: number }; readonly waves: readonly { readonly name: string; readonly size: number; readonly approval: string; readonly soakMs: number; readonly opensAt: string | null; readonly admittedAt: string | null }[]; readonly finish: { readonly earliest: string; readonly expected: string; readonly latest: string } | null; readonly approvals: number; readonly lost: { readonly atLeast: number; readonly atMost: number; readonly reasons: readonly { readonly reason: string; readonly count: number }[] }; readonly sms: { readonly low: number; readonly expected: number; readonly high: number; readonly perMessage: number | null } | null; readonly warnings: readonly string[] }

export type CampaignReport = { readonly id: string; readonly name: string; readonly description: string; readonly status: 'draft' | 'running' | 'paused' | 'completed' | 'aborted'; readonly revision: number; readonly reason: string | null; readonly targets: number; readonly admitted: number; readonly createdBy: string; readonly createdAt: string; readonly startedAt: string | null; readonly pausedAt: string | null; readonly endedAt: string | null; readonly counts: Readonly<Record<string, number>>; readonly trouble: Readonly<Record<string, number>>; readonly ratePerMinute: number; readonly waitsFor: string | null; readonly normalDarknessPercent: number; readonly left: Readonly<Record<string, number>>; readonly waves: readonly Wave[]; readonly reasons: readonly { readonly status: string; readonly reason: string; readonly count: number }[]; readonly answers: readonly { readonly days: number | null; readonly count: number }[]; readonly attempts: readonly { readonly channel: string; readonly status: string; readonly count: number }[]; readonly smsSpent: number | null }

export type CampaignSeries = { readonly targets: number; readonly intervalMs: number; readonly points: readonly { readonly at: string; readonly triggered: number; readonly issued: number; readonly confirmed: number; readonly ended: number }[] }

export type Case = { readonly id: number; readonly device: string; readonly revocation: number | null; readonly reason: string | null; readonly openedBy: string; readonly openedAt: string; readonly verdict: 'cleared' | 'replaced' | 'destroyed' | 'compromised' | null; readonly closedBy: string | null; readonly closedAt: string | null }

export type CaseAddition = { readonly note?: string | undefined; readonly file?: { readonly name: string; readonly sha256: string; readonly size: number } | undefined }

export type CaseDetails = { readonly id: number; readonly device: string; readonly revocation: number | null; readonly reason: string | null; readonly openedBy: string; readonly openedAt: string; readonly verdict: 'cleared' | 'replaced' | 'destroyed' | 'compromised' | null; readonly closedBy: string | null; readonly closedAt: string | null; readonly deviceState: string | null; readonly entries: readonly CaseEntry[] }

export type CaseEntry = { readonly at: string; readonly actor: string; readonly note: string | null; readonly file: { readonly name: string; readonly sha256: string; readonly size: number } | null }

export type CaseVerdict = { readonly verdict: 'cleared' | 'replaced' | 'destroyed' | 'compromised'; readonly note?: string | undefined }

export type Certificate = { readonly id: number; readonly device: string | null; readonly slot: string; readonly issuer: string; readonly serialNumber: string; readonly subject: string; readonly subjectAltNames: readonly string[]; readonly keyAlgorithm: string; readonly spkiHash: string; readonly notBefore: string; readonly notAfter: string; readonly status: 'reserved' | 'issued' | 'confirmed' | 'superseded' | 'revoked' | 'abandoned'; readonly isExpired: boolean; readonly reason: string | null; readonly profile: string | null; readonly protocol: string; readonly predecessorId: number | null; readonly cohort: string | null; readonly batch: string | null; readonly site: string | null; readonly createdAt: string; readonly issuedAt: string | null; readonly confirmedAt: string | null; readonly revokedAt: string | null; readonly lastSeenAt: string | null }

export type CertificateDetails = { readonly id: number; readonly device: string | null; readonly slot: string; readonly issuer: string; readonly serialNumber: string; readonly subject: string; readonly subjectAltNames: readonly string[]; readonly keyAlgorithm: string; readonly spkiHash: string; readonly notBefore: string; readonly notAfter: string; readonly status: 'reserved' | 'issued' | 'confirmed' | 'superseded' | 'revoked' | 'abandoned'; readonly isExpired: boolean; readonly reason: string | null; readonly profile: string | null; readonly protocol: string; readonly predecessorId: number | null; readonly cohort: string | null; readonly batch: string | null; readonly site: string | null; readonly createdAt: string; readonly issuedAt: string | null; readonly confirmedAt: string | null; readonly revokedAt: string | null; readonly lastSeenAt: string | null; readonly pem: string | null }

export type Checkpoint = { readonly size: number; readonly rootHash: string; readonly note: string | null; readonly at: string }

export type Cliff = { readonly from: string; readonly count: number; readonly unplaced: number; readonly renewals: readonly EarlyRenewals[]; readonly campaign: Readonly<Record<string, unknown>> }

export type ClosedCase = { readonly case: Case; readonly deviceState: string; readonly released: readonly { readonly issuer: string; readonly serialNumber: string }[]; readonly needsSecret: boolean }

export type Crl = { readonly issuer: string; readonly kind: 'complete' | 'delta' | 'shard'; readonly shard: number; readonly number: number; readonly thisUpdate: string; readonly nextUpdate: string; readonly isLapsed: boolean; readonly entries: number; readonly size: number; readonly sha256: string }

export type Crls = { readonly items: readonly Crl[] }

export type DecidedEnrolments = { readonly items: readonly EnrolmentRequest[] }

export type Device = { readonly id: string; readonly state: 'registered' | 'active' | 'quarantined' | 'decommissioned'; readonly profile: string; readonly connectivity: string; readonly cohort: string | null; readonly batch: string | null; readonly site: string | null; readonly tags: Readonly<Record<string, string>>; readonly hardware: string | null; readonly firmware: string | null; readonly lastRenewalAt: string | null; readonly lastSeenAt: string | null; readonly createdAt: string }

export type DeviceDetails = { readonly id: string; readonly state: 'registered' | 'active' | 'quarantined' | 'decommissioned'; readonly profile: string; readonly connectivity: string; readonly cohort: string | null; readonly batch: string | null; readonly site: string | null; readonly tags: Readonly<Record<string, string>>; readonly hardware: string | null; readonly firmware: string | null; readonly lastRenewalAt: string | null; readonly lastSeenAt: string | null; readonly createdAt: string; readonly certificates: readonly Certificate[]; readonly waiting: readonly EnrolmentRequest[]; readonly secret: { readonly expiresAt: string; readonly usedAt: string | null } | null }

export type DeviceEdit = { readonly profile?: string | undefined; readonly cohort?: string | null | undefined; readonly batch?: string | null | undefined; readonly site?: string | null | undefined; readonly connectivity?: string | undefined; readonly hardware?: string | null | undefined; readonly firmware?: string | null | undefined; readonly tags?: Readonly<Record<string, string | null>> | undefined }

/** What an edit changes. */
export type DeviceRecord = { readonly id: string; readonly profile: string; readonly cohort: string | null; readonly batch: string | null; readonly site: string | null; readonly connectivity: string; readonly hardware: string | null; readonly firmware: string | null; readonly tags: Readonly<Record<string, string>> }

export type DeviceRenewals = { readonly items: readonly RenewalWithAttempts[] }

export type DeviceRevocationOrder = { readonly reason: 'unspecified' | 'keyCompromise' | 'cACompromise' | 'affiliationChanged' | 'superseded' | 'cessationOfOperation' | 'certificateHold' | 'privilegeWithdrawn' | 'aACompromise'; readonly note?: string | undefined }

export type DeviceSecret = { readonly device: string; readonly secret: string; readonly expiresAt: string }

export type EarlyRenewals = { readonly from: string; readonly count: number }

export type EditedDevice = { readonly record: DeviceRecord; readonly changed: readonly string[] }

export type EnrolmentDecision = { readonly decision: 'approved' | 'rejected'; readonly reason?: string | undefined }

export type EnrolmentRequest = { readonly id: number; readonly device: string; readonly slot: string; readonly spkiHash: string; readonly subject: string; readonly profile: string; readonly protocol: string; readonly status: string; readonly createdAt: string; readonly decidedAt: string | null; readonly decidedBy: string | null }

export type Expiry = { readonly buckets: readonly ExpiryBucket[] }

export type ExpiryBucket = { readonly from: string; readonly to: string; readonly count: number; readonly parts: Readonly<Record<string, number>> }

export type Fact = { readonly id: number; readonly at: string; readonly action: string; readonly subject: string; readonly actor: string; readonly reason: string | null; readonly details: Readonly<Record<string, unknown>>; readonly logIndex: number | null }

export type FieldAssignment = { readonly assignee: string | null }

export type FieldEntry = { readonly id: number; readonly campaign: string | null; readonly wave: number; readonly device: string; readonly slot: string; readonly certificateId: number; readonly notAfter: string; readonly connectivity: string; readonly site: string | null; readonly status: 'planned' | 'triggered' | 'issued' | 'confirmed' | 'retired' | 'escalated' | 'abandoned'; readonly rung: number; readonly attempt: number; readonly nextAt: string | null; readonly newCertificateId: number | null; readonly triggeredAt: string | null; readonly issuedAt: string | null; readonly deliveredAt: string | null; readonly storedAt: string | null; readonly confirmedAt: string | null; readonly endedAt: string | null; readonly reason: string | null; readonly assignee: string | null; readonly createdAt: string; readonly issuer: string | null; readonly serialNumber: string | null; readonly daysLeft: number; readonly why: string; readonly nextAction: string; readonly attempts: readonly Attempt[] }

export type FieldResolution = { readonly note?: string | undefined }

export type Forecast = { readonly perWeek: number; readonly weeks: readonly ForecastWeek[]; readonly cliffs: readonly Cliff[] }

export type ForecastWeek = { readonly from: string; readonly ends: number; readonly due: number; readonly renewed: number; readonly backlog: number; readonly lapsed: number }

/** A role; for one cohort or one site, or for the whole fleet when both are null. */
export type Grant = { readonly role: 'viewer' | 'operator' | 'officer' | 'auditor' | 'administrator'; readonly cohort: string | null; readonly site: string | null }

export type Installation = { readonly organization: string; readonly isDemo: boolean; readonly auditKey: string }

export type Issuer = { readonly id: string; readonly kind: string; readonly subject: string; readonly parent: string | null; readonly keyAlgorithm: string; readonly authority: string; readonly keyReference: string; readonly status: 'active' | 'retired' | 'revoked' | 'external' | 'unfinished' | 'expired'; readonly subjectKeyIdentifier: string; readonly notBefore: string; readonly notAfter: string; readonly issuesUntil: string | null; readonly crlShards: number; readonly createdAt: string; readonly leaves: number; readonly firstLeafEnds: string | null; readonly lastLeafEnds: string | null }

export type IssuerDetails = { readonly id: string; readonly kind: string; readonly subject: string; readonly parent: string | null; readonly keyAlgorithm: string; readonly authority: string; readonly keyReference: string; readonly status: 'active' | 'retired' | 'revoked' | 'external' | 'unfinished' | 'expired'; readonly subjectKeyIdentifier: string; readonly notBefore: string; readonly notAfter: string; readonly issuesUntil: string | null; readonly crlShards: number; readonly createdAt: string; readonly leaves: number; readonly firstLeafEnds: string | null; readonly lastLeafEnds: string | null; readonly pem: string | null }

export type Issuers = { readonly items: readonly Issuer[] }

export type Job = { readonly id: string; readonly kind: string; readonly status: 'running' | 'done' | 'failed'; readonly done: number; readonly total: number | null; readonly result: unknown; readonly problem: { readonly code: string; readonly detail: string } | null; readonly createdBy: string; readonly createdAt: string; readonly updatedAt: string; readonly endedAt: string | null }

/** With the end of its newest live certificate, and its open renewal. */
export type ListedDevice = { readonly id: string; readonly state: 'registered' | 'active' | 'quarantined' | 'decommissioned'; readonly profile: string; readonly connectivity: string; readonly cohort: string | null; readonly batch: string | null; readonly site: string | null; readonly tags: Readonly<Record<string, string>>; readonly hardware: string | null; readonly firmware: string | null; readonly lastRenewalAt: string | null; readonly lastSeenAt: string | null; readonly createdAt: string; readonly expiresAt: string | null; readonly issuer: string | null; readonly renewal: OpenRenewal | null }

export type MassRevocationOrder = { readonly selection: RevocationSelection; readonly reason: 'unspecified' | 'keyCompromise' | 'cACompromise' | 'affiliationChanged' | 'superseded' | 'cessationOfOperation' | 'certificateHold' | 'privilegeWithdrawn' | 'aACompromise'; readonly note?: string | undefined; readonly delayMs?: number | undefined }

export type NewCampaign = { readonly id: string; readonly name?: string | undefined; readonly definition: CampaignDefinition }

export type NewCase = { readonly device: string; readonly note?: string | undefined }

export type NewDevice = { readonly profile: string; readonly cohort?: string | null | undefined; readonly batch?: string | null | undefined; readonly site?: string | null | undefined; readonly connectivity?: string | undefined; readonly hardware?: string | null | undefined; readonly firmware?: string | null | undefined; readonly id: string; readonly tags?: Readonly<Record<string, string>> | undefined }

export type NewProposal = { readonly kind: string; readonly payload: Readonly<Record<string, unknown>>; readonly why?: string | undefined }

export type NewToken = { readonly id: string; readonly operator: string; readonly name: string; readonly grants: readonly Grant[]; readonly allowsDangerous: boolean; readonly createdAt: string; readonly createdBy: string; readonly expiresAt: string; readonly usedAt: string | null; readonly revokedAt: string | null; readonly token: string }

export type NewTrustAnchor = { readonly name: string; readonly pem: string; readonly deviceIdRule: string; readonly profile?: string | null | undefined }

export type Notification = { readonly id: number; readonly notifier: string; readonly event: string; readonly alert: number | null; readonly status: 'waiting' | 'sent' | 'failed'; readonly attempts: number; readonly detail: string | null; readonly createdAt: string; readonly updatedAt: string }

export type OpenRenewal = { readonly id: number; readonly status: 'planned' | 'triggered' | 'issued' | 'confirmed' | 'retired' | 'escalated' | 'abandoned'; readonly campaignId: string | null }

export type Operator = { readonly name: string; readonly status: 'invited' | 'active' | 'disabled'; readonly grants: readonly Grant[]; readonly hasPassword: boolean; readonly hasTotp: boolean; readonly oidcSubject: string | null; readonly certificateHash: string | null; readonly lockedUntil: string | null; readonly lastLoginAt: string | null; readonly createdAt: string; readonly createdBy: string }

export type OrderedRevocation = { readonly revocation: Revocation | null; readonly proposal: Proposal | null }

export type Overview = { readonly at: string; readonly devices: Readonly<Record<string, number>>; readonly certificates: Readonly<Record<string, number>>; readonly expiry: { readonly expired: number; readonly within: readonly { readonly days: number; readonly count: number }[] }; readonly renewals: Readonly<Record<string, number>>; readonly campaigns: { readonly running: number; readonly paused: number }; readonly tasks: { readonly open: number; readonly dead: number }; readonly checkpoint: { readonly size: number; readonly at: string } | null; readonly capacityPerDay: number; readonly needs: Readonly<Record<string, number>> }

export type Problem = { readonly type: string; readonly title: string; readonly status: number; readonly code: string; readonly detail: string; readonly instance?: string | undefined; readonly errors?: readonly { readonly at: string; readonly detail: string }[] | undefined }

export type Profile = { readonly name: string; readonly description: string; readonly issuer: string; readonly subject: string; readonly subjectAltNames: readonly string[]; readonly keyAlgorithms: readonly string[]; readonly validity: string | null; readonly jitter: string | null; readonly renewBefore: string | null; readonly renewExpiredFor: string | null; readonly retireAfter: string | null; readonly rekey: string; readonly approval: string; readonly serverKeygen: boolean; readonly connectivity: string; readonly purpose: string; readonly contentHash: string }

export type Profiles = { readonly items: readonly Profile[] }

export type Proposal = { readonly id: number; readonly kind: string; readonly summary: string; readonly payload: unknown; readonly why: string | null; readonly state: 'open' | 'approved' | 'rejected' | 'expired' | 'done' | 'failed'; readonly requestedBy: string; readonly requestedAt: string; readonly expiresAt: string; readonly decidedBy: string | null; readonly decidedAt: string | null; readonly note: string | null; readonly outcome: string | null; readonly endedAt: string | null }

export type ProposalDecision = { readonly decision: 'approved' | 'rejected'; readonly note?: string | undefined }

export type Renewal = { readonly id: number; readonly campaign: string | null; readonly wave: number; readonly device: string; readonly slot: string; readonly certificateId: number; readonly notAfter: string; readonly connectivity: string; readonly site: string | null; readonly status: 'planned' | 'triggered' | 'issued' | 'confirmed' | 'retired' | 'escalated' | 'abandoned'; readonly rung: number; readonly attempt: number; readonly nextAt: string | null; readonly newCertificateId: number | null; readonly triggeredAt: string | null; readonly issuedAt: string | null; readonly deliveredAt: string | null; readonly storedAt: string | null; readonly confirmedAt: string | null; readonly endedAt: string | null; readonly reason: string | null; readonly assignee: string | null; readonly createdAt: string }

export type RenewalDetails = { readonly id: number; readonly campaign: string | null; readonly wave: number; readonly device: string; readonly slot: string; readonly certificateId: number; readonly notAfter: string; readonly connectivity: string; readonly site: string | null; readonly status: 'planned' | 'triggered' | 'issued' | 'confirmed' | 'retired' | 'escalated' | 'abandoned'; readonly rung: number; readonly attempt: number; readonly nextAt: string | null; readonly newCertificateId: number | null; readonly triggeredAt: string | null; readonly issuedAt: string | null; readonly deliveredAt: string | null; readonly storedAt: string | null; readonly confirmedAt: string | null; readonly endedAt: string | null; readonly reason: string | null; readonly assignee: string | null; readonly createdAt: string; readonly attempts: readonly Attempt[] }

export type RenewalWithAttempts = { readonly id: number; readonly campaign: string | null; readonly wave: number; readonly device: string; readonly slot: string; readonly certificateId: number; readonly notAfter: string; readonly connectivity: string; readonly site: string | null; readonly status: 'planned' | 'triggered' | 'issued' | 'confirmed' | 'retired' | 'escalated' | 'abandoned'; readonly rung: number; readonly attempt: number; readonly nextAt: string | null; readonly newCertificateId: number | null; readonly triggeredAt: string | null; readonly issuedAt: string | null; readonly deliveredAt: string | null; readonly storedAt: string | null; readonly confirmedAt: string | null; readonly endedAt: string | null; readonly reason: string | null; readonly assignee: string | null; readonly createdAt: string; readonly attempts: readonly Attempt[] }

export type ResolvedField = { readonly outcome: 'again' | 'renewed'; readonly renewal: Renewal }

export type RetriedTargets = { readonly retried: number; readonly left: readonly { readonly device: string; readonly reason: string }[]; readonly leftCount: number }

export type Revocation = { readonly id: number; readonly selection: Readonly<Record<string, string>>; readonly reason: string; readonly note: string | null; readonly actor: string; readonly status: 'waiting' | 'running' | 'done' | 'cancelled'; readonly devices: number; readonly certificates: number; readonly createdAt: string; readonly startsAt: string; readonly endedAt: string | null }

export type RevocationCancel = { readonly note?: string | undefined }

export type RevocationOrder = { readonly reason: 'unspecified' | 'keyCompromise' | 'cACompromise' | 'affiliationChanged' | 'superseded' | 'cessationOfOperation' | 'certificateHold' | 'privilegeWithdrawn' | 'aACompromise'; readonly note?: string | undefined }

export type RevocationPreview = { readonly devices: number; readonly certificates: number; readonly outOfService: number; readonly liveSessions: number; readonly openRenewals: number; readonly sites: Readonly<Record<string, number>>; readonly crls: readonly { readonly issuer: string; readonly shard: number; readonly entries: number; readonly bytes: number }[]; readonly needsApproval: boolean }

export type RevocationQuestion = { readonly selection: RevocationSelection; readonly reason: 'unspecified' | 'keyCompromise' | 'cACompromise' | 'affiliationChanged' | 'superseded' | 'cessationOfOperation' | 'certificateHold' | 'privilegeWithdrawn' | 'aACompromise' }

/** All that is named must hold; nothing named is refused. */
export type RevocationSelection = { readonly batch?: string | undefined; readonly cohort?: string | undefined; readonly site?: string | undefined; readonly profile?: string | undefined; readonly connectivity?: string | undefined }

export type Revocations = { readonly items: readonly Revocation[] }

export type Revoked = { readonly certificates: readonly { readonly issuer: string; readonly serialNumber: string }[]; readonly deviceState: string | null }

export type Session = { readonly operator: string; readonly kind: 'session' | 'token' | 'certificate'; readonly grants: readonly Grant[]; readonly permissions: readonly ('self' | 'inventory:read' | 'inventory:write' | 'devices:enrol' | 'devices:state' | 'certificates:revoke' | 'renewals:write' | 'campaigns:write' | 'field:write' | 'cases:write' | 'alerts:read' | 'alerts:write' | 'alerts:configure' | 'issuers:write' | 'trust:write' | 'profiles:write' | 'proposals:read' | 'proposals:write' | 'proposals:approve' | 'audit:read' | 'events:read' | 'jobs:read' | 'webhooks:read' | 'webhooks:write' | 'operators:read' | 'operators:write')[]; readonly expiresAt: string | null; readonly isProved: boolean; readonly csrfToken: string | null }

export type SetupLink = { readonly operator: string; readonly token: string | null; readonly expiresAt: string | null }

export type SetupOffer = { readonly operator: string | null; readonly totpSecret: string; readonly totpUri: string; readonly requireTotp: boolean }

export type TargetRetry = { readonly device?: string | undefined; readonly statuses?: readonly ('abandoned' | 'escalated')[] | undefined; readonly reason?: string | undefined }

export type TargetSkip = { readonly device: string; readonly reason?: string | undefined }

export type Task = { readonly id: number; readonly kind: string; readonly key: string | null; readonly status: 'ready' | 'running' | 'done' | 'dead'; readonly attempts: number; readonly runAt: string; readonly lastError: string | null; readonly createdAt: string }

export type Token = { readonly id: string; readonly operator: string; readonly name: string; readonly grants: readonly Grant[]; readonly allowsDangerous: boolean; readonly createdAt: string; readonly createdBy: string; readonly expiresAt: string; readonly usedAt: string | null; readonly revokedAt: string | null }

export type TrustAnchor = { readonly id: string; readonly name: string; readonly subject: string; readonly deviceIdRule: string; readonly profile: string | null; readonly createdAt: string; readonly pem: string }

export type TrustAnchors = { readonly items: readonly TrustAnchor[] }

export type Wave = { readonly wave: number; readonly name: string; readonly status: string; readonly size: number; readonly counts: Readonly<Record<string, number>>; readonly outcomes: { readonly failed: number; readonly rejected: number }; readonly finishedPercent: number; readonly successPercent: number; readonly openedAt: string | null; readonly soakUntil: string | null; readonly closedAt: string | null; readonly approvedBy: string | null; readonly approvedAt: string | null }

export type WaveApproval = { readonly wave?: number | undefined; readonly override?: boolean | undefined; readonly reason?: string | undefined }

export type Why = { readonly device: string; readonly survives: 'yes' | 'at-risk' | 'no'; readonly answer: string; readonly blocks: readonly string[]; readonly happened: readonly { readonly at: string; readonly text: string }[]; readonly next: { readonly at: string | null; readonly text: string } }

/** Of it may change: rollout, brakes, abortConfig, timeoutConfig, schedulingConfig, and approvals of waves. */
export type WrittenCampaign = { readonly id: string; readonly revision: number; readonly definition: CampaignDefinition }
