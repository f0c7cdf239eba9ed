// Generated from the OpenAPI document by `npm run docs`. Do not edit.

import type { CallOptions, Caller } from '../call.ts'
import type * as schemas from './schemas.ts'

export interface Operations {
  /** Whose installation this is. */
  getInstallation(options?: CallOptions): Promise<schemas.Installation>
  /** Sums of the whole fleet. */
  getOverview(options?: CallOptions): Promise<schemas.Overview>
  /** How many live certificates end when. */
  getExpiry(input?: { readonly by?: 'day' | 'week' | 'month' | undefined; readonly from?: string | undefined; readonly buckets?: number | undefined; readonly split?: 'issuer' | 'profile' | 'cohort' | undefined; readonly profile?: string | undefined; readonly cohort?: string | undefined }, options?: CallOptions): Promise<schemas.Expiry>
  /** Devices by filter. */
  listDevices(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly filter?: string | undefined; readonly sort?: 'id' | '-id' | 'expires' | '-expires' | undefined; readonly state?: 'registered' | 'active' | 'quarantined' | 'decommissioned' | undefined; readonly profile?: string | undefined; readonly cohort?: string | undefined; readonly batch?: string | undefined; readonly site?: string | undefined; readonly connectivity?: string | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.ListedDevice[]; readonly next: string | null }>
  /** Registers a device. */
  addDevice(input: { readonly dryRun?: boolean | undefined; readonly body: schemas.NewDevice }, options?: CallOptions): Promise<schemas.Device>
  /** A device with its certificates, and what waits for a person. */
  getDevice(input: { readonly id: string; readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.DeviceDetails>
  /** What an edit changes; its ETag is what the edit names. */
  getDeviceRecord(input: { readonly id: string }, options?: CallOptions): Promise<schemas.DeviceRecord>
  /** Changes the record of a device. */
  editDevice(input: { readonly id: string; readonly dryRun?: boolean | undefined; readonly body: schemas.DeviceEdit; readonly ifMatch: string }, options?: CallOptions): Promise<schemas.EditedDevice>
  /** Makes a new one-time enrolment secret; the one before it is worth nothing from now on. */
  makeDeviceSecret(input: { readonly id: string }, options?: CallOptions): Promise<schemas.DeviceSecret>
  /** Will it survive the end of its certificate, what blocks it, what happened, what comes next. */
  whyDevice(input: { readonly id: string }, options?: CallOptions): Promise<schemas.Why>
  /** The last 20 renewals of a device with every attempt, the latest first. */
  listDeviceRenewals(input: { readonly id: string }, options?: CallOptions): Promise<schemas.DeviceRenewals>
  /** What the audit log has on a device itself, the newest first. */
  listDeviceFacts(input: { readonly id: string; readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Fact[]; readonly next: string | null }>
  /** Certificates by filter. */
  listCertificates(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly filter?: string | undefined; readonly sort?: 'id' | '-id' | 'expires' | '-expires' | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Certificate[]; readonly next: string | null }>
  /** A certificate, with its PEM. */
  getCertificate(input: { readonly id: number; readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.CertificateDetails>
  /** The certificate in PEM, with its chain if that is asked for. */
  getCertificatePem(input: { readonly id: number; readonly chain?: boolean | undefined }, options?: CallOptions): Promise<Response>
  /** The certificate in DER. */
  getCertificateDer(input: { readonly id: number }, options?: CallOptions): Promise<Response>
  /** Renewals by filter. */
  listRenewals(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly filter?: string | undefined; readonly sort?: 'id' | '-id' | 'expires' | '-expires' | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Renewal[]; readonly next: string | null }>
  /** A renewal with every attempt. */
  getRenewal(input: { readonly id: number; readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.RenewalDetails>
  /** Devices that a person must deal with, the most urgent first. */
  listField(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly filter?: string | undefined; readonly site?: string | undefined; readonly campaign?: string | undefined; readonly assignee?: string | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.FieldEntry[]; readonly next: string | null }>
  /** Says who goes there. */
  assignField(input: { readonly device: string; readonly body: schemas.FieldAssignment }, options?: CallOptions): Promise<schemas.Renewal>
  /** Somebody has dealt with it. */
  resolveField(input: { readonly device: string; readonly body: schemas.FieldResolution }, options?: CallOptions): Promise<schemas.ResolvedField>
  /** What a campaign would do; nothing is written. */
  planCampaign(input: { readonly body: schemas.CampaignDefinition }, options?: CallOptions): Promise<schemas.CampaignPlan>
  /** Creates a campaign with its targets; nothing is asked before it is started. */
  createCampaign(input: { readonly body: schemas.NewCampaign }, options?: CallOptions): Promise<schemas.Campaign>
  /** Campaigns in the order of their names. */
  listCampaigns(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly status?: 'draft' | 'running' | 'paused' | 'completed' | 'aborted' | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Campaign[]; readonly next: string | null }>
  /** A campaign with its waves and how far it is. */
  getCampaign(input: { readonly id: string; readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.CampaignDetails>
  /** Targets asked, issued, confirmed and ended so far, over time. */
  getCampaignSeries(input: { readonly id: string }, options?: CallOptions): Promise<schemas.CampaignSeries>
  /** Why targets fell out, how fast the others answered, what was sent. */
  getCampaignReport(input: { readonly id: string }, options?: CallOptions): Promise<schemas.CampaignReport>
  /** What the campaign is to do; its ETag is what an edit names. */
  getCampaignDefinition(input: { readonly id: string }, options?: CallOptions): Promise<schemas.WrittenCampaign>
  /** Changes rate, brakes, stop criteria, time-out or schedule. */
  editCampaign(input: { readonly id: string; readonly dryRun?: boolean | undefined; readonly body: schemas.CampaignDefinition; readonly ifMatch: string }, options?: CallOptions): Promise<schemas.WrittenCampaign>
  /** Starts it: the first wave opens with the next pass. */
  startCampaign(input: { readonly id: string; readonly body: schemas.CampaignOrder }, options?: CallOptions): Promise<schemas.Campaign>
  /** Lets no trigger leave from now on. */
  pauseCampaign(input: { readonly id: string; readonly body: schemas.CampaignOrder }, options?: CallOptions): Promise<schemas.Campaign>
  /** Goes on; the brakes count anew from here. */
  resumeCampaign(input: { readonly id: string; readonly body: schemas.CampaignOrder }, options?: CallOptions): Promise<schemas.Campaign>
  /** Lets a wave open that waits for a person. */
  approveWave(input: { readonly id: string; readonly body: schemas.WaveApproval }, options?: CallOptions): Promise<schemas.ApprovedWave>
  /** Asks targets again that were given up or are on the field list. */
  retryTargets(input: { readonly id: string; readonly body: schemas.TargetRetry }, options?: CallOptions): Promise<schemas.RetriedTargets>
  /** Leaves one device out. */
  skipTarget(input: { readonly id: string; readonly body: schemas.TargetSkip }, options?: CallOptions): Promise<schemas.Renewal>
  /** Ends it; a draft is deleted. */
  abortCampaign(input: { readonly id: string; readonly body: schemas.CampaignOrder }, options?: CallOptions): Promise<schemas.Campaign>
  /** All issuers; `parent` makes them a tree. */
  listIssuers(input?: { readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.Issuers>
  /** An issuer with its certificate in PEM. */
  getIssuer(input: { readonly id: string; readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.IssuerDetails>
  /** The newest CRL of each issuer, kind and shard, and how fresh it is. */
  listCrls(input?: { readonly fields?: string | undefined; readonly issuer?: string | undefined }, options?: CallOptions): Promise<schemas.Crls>
  /** Certificate profiles, as the configuration has them. */
  listProfiles(input?: { readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.Profiles>
  /** CAs of manufacturers whose factory identities let devices in. */
  listTrustAnchors(input?: { readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.TrustAnchors>
  /** Trusts the CA of a manufacturer. */
  addTrustAnchor(input: { readonly body: schemas.NewTrustAnchor }, options?: CallOptions): Promise<schemas.TrustAnchor>
  /** Trusts it no more; devices that it let in keep their certificates. */
  removeTrustAnchor(input: { readonly id: string }, options?: CallOptions): Promise<null>
  /** Enrolments that wait for a person, the oldest first. */
  listEnrolmentRequests(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.EnrolmentRequest[]; readonly next: string | null }>
  /** Decides every request of a device that waits; it learns of it when it asks again. */
  decideEnrolment(input: { readonly device: string; readonly body: schemas.EnrolmentDecision }, options?: CallOptions): Promise<schemas.DecidedEnrolments>
  /** Revokes a certificate, for good. */
  revokeCertificate(input: { readonly id: number; readonly dryRun?: boolean | undefined; readonly body: schemas.RevocationOrder }, options?: CallOptions): Promise<schemas.Revoked>
  /** Revokes all that a device holds and takes it out of service. */
  revokeDevice(input: { readonly id: string; readonly dryRun?: boolean | undefined; readonly body: schemas.DeviceRevocationOrder }, options?: CallOptions): Promise<schemas.Revoked>
  /** What a revocation of many would do; nothing is written. */
  previewRevocation(input: { readonly body: schemas.RevocationQuestion }, options?: CallOptions): Promise<schemas.RevocationPreview>
  /** Revokes what many devices hold; where the policy asks for it, a proposal that somebody else must allow. */
  orderRevocation(input: { readonly body: schemas.MassRevocationOrder }, options?: CallOptions): Promise<schemas.OrderedRevocation>
  /** Revocations of many, the newest first, at most 100. */
  listRevocations(options?: CallOptions): Promise<schemas.Revocations>
  /** Stops it; what it has revoked stays revoked. */
  cancelRevocation(input: { readonly id: number; readonly body: schemas.RevocationCancel }, options?: CallOptions): Promise<schemas.Revocation>
  /** Takes a device out of service to look at it; nothing is revoked. */
  openCase(input: { readonly body: schemas.NewCase }, options?: CallOptions): Promise<schemas.Case>
  /** Cases, the oldest first. */
  listCases(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly device?: string | undefined; readonly revocation?: number | undefined; readonly open?: boolean | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Case[]; readonly next: string | null }>
  /** A case with its notes and evidence. */
  getCase(input: { readonly id: number; readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.CaseDetails>
  /** Adds a note, or the hash of a piece of evidence. */
  addToCase(input: { readonly id: number; readonly body: schemas.CaseAddition }, options?: CallOptions): Promise<schemas.CaseDetails>
  /** Gives a verdict, which says what becomes of the device. */
  closeCase(input: { readonly id: number; readonly body: schemas.CaseVerdict }, options?: CallOptions): Promise<schemas.ClosedCase>
  /** Asks for an act; nothing happens until somebody else allows it. */
  makeProposal(input: { readonly body: schemas.NewProposal }, options?: CallOptions): Promise<schemas.Proposal>
  /** Proposals, the newest first. */
  listProposals(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly state?: 'open' | 'approved' | 'rejected' | 'expired' | 'done' | 'failed' | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Proposal[]; readonly next: string | null }>
  /** A proposal. */
  getProposal(input: { readonly id: number; readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.Proposal>
  /** Allows it, or not; nobody decides what he has asked for himself. */
  decideProposal(input: { readonly id: number; readonly body: schemas.ProposalDecision }, options?: CallOptions): Promise<schemas.Proposal>
  /** Open alerts, the gravest first; with state=all every one that there was, the newest first. */
  listAlerts(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly state?: 'open' | 'all' | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Alert[]; readonly next: string | null }>
  /** An alert, and what was sent about it. */
  getAlert(input: { readonly id: number; readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.AlertDetails>
  /** Somebody is at it: nobody else is told, unless it gets graver. */
  acknowledgeAlert(input: { readonly id: number; readonly body: schemas.AlertAcknowledgement }, options?: CallOptions): Promise<schemas.Alert>
  /** Nobody is told of this alert for a time. */
  silenceAlert(input: { readonly id: number; readonly body: schemas.AlertSilence }, options?: CallOptions): Promise<schemas.Alert>
  /** What was sent to notifiers, the newest first. */
  listNotifications(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly notifier?: string | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Notification[]; readonly next: string | null }>
  /** Ends and renewals by week, at the rate that there is; cliffs, and how to flatten them. */
  getForecast(input?: { readonly weeks?: number | undefined; readonly jitterDays?: number | undefined; readonly windowDays?: number | undefined; readonly perWeek?: number | undefined }, options?: CallOptions): Promise<schemas.Forecast>
  /** Facts of the audit log, the newest first. */
  listFacts(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly filter?: string | undefined; readonly sort?: 'id' | '-id' | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Fact[]; readonly next: string | null }>
  /** Checkpoints of the log, the newest first. */
  listCheckpoints(input?: { readonly after?: string | undefined; readonly limit?: number | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Checkpoint[]; readonly next: string | null }>
  /** Proof that a fact is in the log, for a verifier that has neither our database nor our code. */
  getFactProof(input: { readonly index: number }, options?: CallOptions): Promise<Response>
  /** All devices that fit a filter, as CSV or JSON Lines. */
  exportDevices(input?: { readonly format?: 'csv' | 'jsonl' | undefined; readonly filter?: string | undefined }, options?: CallOptions): Promise<Response>
  /** All certificates that fit a filter, as CSV or JSON Lines. */
  exportCertificates(input?: { readonly format?: 'csv' | 'jsonl' | undefined; readonly filter?: string | undefined }, options?: CallOptions): Promise<Response>
  /** All of the field list that fit a filter, as CSV or JSON Lines. */
  exportFieldList(input?: { readonly format?: 'csv' | 'jsonl' | undefined; readonly filter?: string | undefined }, options?: CallOptions): Promise<Response>
  /** All facts that fit a filter, as CSV or JSON Lines. */
  exportFacts(input?: { readonly format?: 'csv' | 'jsonl' | undefined; readonly filter?: string | undefined }, options?: CallOptions): Promise<Response>
  /** Tasks in the order in which they were made. */
  listTasks(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly status?: 'ready' | 'running' | 'done' | 'dead' | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Task[]; readonly next: string | null }>
  /** Sends a task again that failed for good. */
  retryTask(input: { readonly id: number }, options?: CallOptions): Promise<null>
  /** Who is asking, and what he may do. */
  getSession(options?: CallOptions): Promise<schemas.Session>
  /** Opens a session: the answer sets its cookie. */
  logIn(input?: { readonly body: { readonly name: string; readonly password: string; readonly code?: string | undefined } }, options?: CallOptions): Promise<schemas.Session>
  /** Ends the session. */
  logOut(options?: CallOptions): Promise<null>
  /** Password and code again, before a dangerous act; the cookie changes. */
  proveAgain(input?: { readonly body: { readonly password: string; readonly code?: string | undefined } }, options?: CallOptions): Promise<schemas.Session>
  /** What a one-time link is for; it stays usable. */
  openSetup(input: { readonly body: { readonly token: string } }, options?: CallOptions): Promise<schemas.SetupOffer>
  /** Sets password and authenticator app on a one-time link, and uses it up. */
  finishSetup(input?: { readonly body: { readonly token: string; readonly name?: string | undefined; readonly password: string; readonly code?: string | undefined } }, options?: CallOptions): Promise<{ readonly operator: string }>
  /** Accounts in the order of their names. */
  listOperators(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Operator[]; readonly next: string | null }>
  /** An account, and the link on which the person sets a password. */
  addOperator(input?: { readonly body: { readonly name: string; readonly grants: readonly schemas.Grant[]; readonly oidcSubject?: string | undefined; readonly certificateHash?: string | undefined } }, options?: CallOptions): Promise<schemas.SetupLink>
  /** An account. */
  getOperator(input: { readonly name: string; readonly fields?: string | undefined }, options?: CallOptions): Promise<schemas.Operator>
  /** Its roles, all of them; ETag is that of the account. */
  setGrants(input: { readonly name: string; readonly body: { readonly grants: readonly schemas.Grant[] }; readonly ifMatch: string }, options?: CallOptions): Promise<schemas.Operator>
  /** Ends its sessions and tokens; it cannot be used. */
  disableOperator(input: { readonly name: string }, options?: CallOptions): Promise<schemas.Operator>
  /** It may be used again. */
  enableOperator(input: { readonly name: string }, options?: CallOptions): Promise<schemas.Operator>
  /** Forgets password and authenticator app, and makes a new link. */
  resetOperator(input: { readonly name: string }, options?: CallOptions): Promise<schemas.SetupLink>
  /** API tokens of the caller, or with operators:read of everybody. */
  listTokens(input?: { readonly after?: string | undefined; readonly limit?: number | undefined; readonly fields?: string | undefined; readonly operator?: string | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Token[]; readonly next: string | null }>
  /** An API token of the caller. */
  createToken(input?: { readonly body: { readonly name: string; readonly grants: readonly schemas.Grant[]; readonly days: number; readonly allowsDangerous?: boolean | undefined } }, options?: CallOptions): Promise<schemas.NewToken>
  /** Revokes a token: one of the caller, or with operators:write anybody’s. */
  revokeToken(input: { readonly id: string }, options?: CallOptions): Promise<null>
  /** Long work, oldest first, for seven days: of the caller, or with operators:read of everybody. */
  listJobs(input?: { readonly after?: string | undefined; readonly limit?: number | undefined }, options?: CallOptions): Promise<{ readonly items: readonly schemas.Job[]; readonly next: string | null }>
  /** How far it is, and what came of it. */
  getJob(input: { readonly id: string }, options?: CallOptions): Promise<schemas.Job>
  /** Facts as they are sealed, as server-sent events. */
  streamEvents(input?: { readonly from?: number | undefined; readonly action?: string | undefined }, options?: CallOptions): Promise<Response>
}

/** The requests behind the operations. */
export function operationsOf(call: Caller): Operations {
  return {
    getInstallation: (options) => call({ method: 'GET', path: '/installation' }, {}, options),
    getOverview: (options) => call({ method: 'GET', path: '/overview' }, {}, options),
    getExpiry: (input, options) => call({ method: 'GET', path: '/expiry', query: ['by', 'from', 'buckets', 'split', 'profile', 'cohort'] }, input, options),
    listDevices: (input, options) => call({ method: 'GET', path: '/devices', query: ['after', 'limit', 'fields', 'filter', 'sort', 'state', 'profile', 'cohort', 'batch', 'site', 'connectivity'] }, input, options),
    addDevice: (input, options) => call({ method: 'POST', path: '/devices', query: ['dryRun'] }, input, options),
    getDevice: (input, options) => call({ method: 'GET', path: '/devices/{id}', query: ['fields'] }, input, options),
    getDeviceRecord: (input, options) => call({ method: 'GET', path: '/devices/{id}/record' }, input, options),
    editDevice: (input, options) => call({ method: 'PATCH', path: '/devices/{id}/record', query: ['dryRun'] }, input, options),
    makeDeviceSecret: (input, options) => call({ method: 'POST', path: '/devices/{id}/secret' }, input, options),
    whyDevice: (input, options) => call({ method: 'GET', path: '/devices/{id}/why' }, input, options),
    listDeviceRenewals: (input, options) => call({ method: 'GET', path: '/devices/{id}/renewals' }, input, options),
    listDeviceFacts: (input, options) => call({ method: 'GET', path: '/devices/{id}/facts', query: ['after', 'limit', 'fields'] }, input, options),
    listCertificates: (input, options) => call({ method: 'GET', path: '/certificates', query: ['after', 'limit', 'fields', 'filter', 'sort'] }, input, options),
    getCertificate: (input, options) => call({ method: 'GET', path: '/certificates/{id}', query: ['fields'] }, input, options),
    getCertificatePem: (input, options) => call({ method: 'GET', path: '/certificates/{id}/pem', query: ['chain'], isStream: true }, input, options),
    getCertificateDer: (input, options) => call({ method: 'GET', path: '/certificates/{id}/der', isStream: true }, input, options),
    listRenewals: (input, options) => call({ method: 'GET', path: '/renewals', query: ['after', 'limit', 'fields', 'filter', 'sort'] }, input, options),
    getRenewal: (input, options) => call({ method: 'GET', path: '/renewals/{id}', query: ['fields'] }, input, options),
    listField: (input, options) => call({ method: 'GET', path: '/field-list', query: ['after', 'limit', 'fields', 'filter', 'site', 'campaign', 'assignee'] }, input, options),
    assignField: (input, options) => call({ method: 'POST', path: '/field-list/{device}/assign' }, input, options),
    resolveField: (input, options) => call({ method: 'POST', path: '/field-list/{device}/resolve' }, input, options),
    planCampaign: (input, options) => call({ method: 'POST', path: '/campaigns/plan' }, input, options),
    createCampaign: (input, options) => call({ method: 'POST', path: '/campaigns' }, input, options),
    listCampaigns: (input, options) => call({ method: 'GET', path: '/campaigns', query: ['after', 'limit', 'fields', 'status'] }, input, options),
    getCampaign: (input, options) => call({ method: 'GET', path: '/campaigns/{id}', query: ['fields'] }, input, options),
    getCampaignSeries: (input, options) => call({ method: 'GET', path: '/campaigns/{id}/series' }, input, options),
    getCampaignReport: (input, options) => call({ method: 'GET', path: '/campaigns/{id}/report' }, input, options),
    getCampaignDefinition: (input, options) => call({ method: 'GET', path: '/campaigns/{id}/definition' }, input, options),
    editCampaign: (input, options) => call({ method: 'PATCH', path: '/campaigns/{id}/definition', query: ['dryRun'] }, input, options),
    startCampaign: (input, options) => call({ method: 'POST', path: '/campaigns/{id}/start' }, input, options),
    pauseCampaign: (input, options) => call({ method: 'POST', path: '/campaigns/{id}/pause' }, input, options),
    resumeCampaign: (input, options) => call({ method: 'POST', path: '/campaigns/{id}/resume' }, input, options),
    approveWave: (input, options) => call({ method: 'POST', path: '/campaigns/{id}/approve' }, input, options),
    retryTargets: (input, options) => call({ method: 'POST', path: '/campaigns/{id}/retry' }, input, options),
    skipTarget: (input, options) => call({ method: 'POST', path: '/campaigns/{id}/skip' }, input, options),
    abortCampaign: (input, options) => call({ method: 'POST', path: '/campaigns/{id}/abort' }, input, options),
    listIssuers: (input, options) => call({ method: 'GET', path: '/issuers', query: ['fields'] }, input, options),
    getIssuer: (input, options) => call({ method: 'GET', path: '/issuers/{id}', query: ['fields'] }, input, options),
    listCrls: (input, options) => call({ method: 'GET', path: '/crls', query: ['fields', 'issuer'] }, input, options),
    listProfiles: (input, options) => call({ method: 'GET', path: '/profiles', query: ['fields'] }, input, options),
    listTrustAnchors: (input, options) => call({ method: 'GET', path: '/trust-anchors', query: ['fields'] }, input, options),
    addTrustAnchor: (input, options) => call({ method: 'POST', path: '/trust-anchors' }, input, options),
    removeTrustAnchor: (input, options) => call({ method: 'DELETE', path: '/trust-anchors/{id}' }, input, options),
    listEnrolmentRequests: (input, options) => call({ method: 'GET', path: '/enrolment-requests', query: ['after', 'limit', 'fields'] }, input, options),
    decideEnrolment: (input, options) => call({ method: 'POST', path: '/enrolment-requests/{device}/decide' }, input, options),
    revokeCertificate: (input, options) => call({ method: 'POST', path: '/certificates/{id}/revoke', query: ['dryRun'] }, input, options),
    revokeDevice: (input, options) => call({ method: 'POST', path: '/devices/{id}/revoke', query: ['dryRun'] }, input, options),
    previewRevocation: (input, options) => call({ method: 'POST', path: '/revocations/preview' }, input, options),
    orderRevocation: (input, options) => call({ method: 'POST', path: '/revocations' }, input, options),
    listRevocations: (options) => call({ method: 'GET', path: '/revocations' }, {}, options),
    cancelRevocation: (input, options) => call({ method: 'POST', path: '/revocations/{id}/cancel' }, input, options),
    openCase: (input, options) => call({ method: 'POST', path: '/cases' }, input, options),
    listCases: (input, options) => call({ method: 'GET', path: '/cases', query: ['after', 'limit', 'fields', 'device', 'revocation', 'open'] }, input, options),
    getCase: (input, options) => call({ method: 'GET', path: '/cases/{id}', query: ['fields'] }, input, options),
    addToCase: (input, options) => call({ method: 'POST', path: '/cases/{id}/notes' }, input, options),
    closeCase: (input, options) => call({ method: 'POST', path: '/cases/{id}/close' }, input, options),
    makeProposal: (input, options) => call({ method: 'POST', path: '/proposals' }, input, options),
    listProposals: (input, options) => call({ method: 'GET', path: '/proposals', query: ['after', 'limit', 'fields', 'state'] }, input, options),
    getProposal: (input, options) => call({ method: 'GET', path: '/proposals/{id}', query: ['fields'] }, input, options),
    decideProposal: (input, options) => call({ method: 'POST', path: '/proposals/{id}/decide' }, input, options),
    listAlerts: (input, options) => call({ method: 'GET', path: '/alerts', query: ['after', 'limit', 'fields', 'state'] }, input, options),
    getAlert: (input, options) => call({ method: 'GET', path: '/alerts/{id}', query: ['fields'] }, input, options),
    acknowledgeAlert: (input, options) => call({ method: 'POST', path: '/alerts/{id}/acknowledge' }, input, options),
    silenceAlert: (input, options) => call({ method: 'POST', path: '/alerts/{id}/silence' }, input, options),
    listNotifications: (input, options) => call({ method: 'GET', path: '/notifications', query: ['after', 'limit', 'fields', 'notifier'] }, input, options),
    getForecast: (input, options) => call({ method: 'GET', path: '/forecast', query: ['weeks', 'jitterDays', 'windowDays', 'perWeek'] }, input, options),
    listFacts: (input, options) => call({ method: 'GET', path: '/facts', query: ['after', 'limit', 'fields', 'filter', 'sort'] }, input, options),
    listCheckpoints: (input, options) => call({ method: 'GET', path: '/checkpoints', query: ['after', 'limit'] }, input, options),
    getFactProof: (input, options) => call({ method: 'GET', path: '/facts/{index}/proof', isStream: true }, input, options),
    exportDevices: (input, options) => call({ method: 'GET', path: '/exports/devices', query: ['format', 'filter'], isStream: true }, input, options),
    exportCertificates: (input, options) => call({ method: 'GET', path: '/exports/certificates', query: ['format', 'filter'], isStream: true }, input, options),
    exportFieldList: (input, options) => call({ method: 'GET', path: '/exports/field-list', query: ['format', 'filter'], isStream: true }, input, options),
    exportFacts: (input, options) => call({ method: 'GET', path: '/exports/facts', query: ['format', 'filter'], isStream: true }, input, options),
    listTasks: (input, options) => call({ method: 'GET', path: '/tasks', query: ['after', 'limit', 'fields', 'status'] }, input, options),
    retryTask: (input, options) => call({ method: 'POST', path: '/tasks/{id}/retry' }, input, options),
    getSession: (options) => call({ method: 'GET', path: '/session' }, {}, options),
    logIn: (input, options) => call({ method: 'POST', path: '/session' }, input, options),
    logOut: (options) => call({ method: 'DELETE', path: '/session' }, {}, options),
    proveAgain: (input, options) => call({ method: 'POST', path: '/session/proof' }, input, options),
    openSetup: (input, options) => call({ method: 'POST', path: '/setup/offer' }, input, options),
    finishSetup: (input, options) => call({ method: 'POST', path: '/setup' }, input, options),
    listOperators: (input, options) => call({ method: 'GET', path: '/operators', query: ['after', 'limit', 'fields'] }, input, options),
    addOperator: (input, options) => call({ method: 'POST', path: '/operators' }, input, options),
    getOperator: (input, options) => call({ method: 'GET', path: '/operators/{name}', query: ['fields'] }, input, options),
    setGrants: (input, options) => call({ method: 'PUT', path: '/operators/{name}/grants' }, input, options),
    disableOperator: (input, options) => call({ method: 'POST', path: '/operators/{name}/disable' }, input, options),
    enableOperator: (input, options) => call({ method: 'POST', path: '/operators/{name}/enable' }, input, options),
    resetOperator: (input, options) => call({ method: 'POST', path: '/operators/{name}/reset' }, input, options),
    listTokens: (input, options) => call({ method: 'GET', path: '/tokens', query: ['after', 'limit', 'fields', 'operator'] }, input, options),
    createToken: (input, options) => call({ method: 'POST', path: '/tokens' }, input, options),
    revokeToken: (input, options) => call({ method: 'DELETE', path: '/tokens/{id}' }, input, options),
    listJobs: (input, options) => call({ method: 'GET', path: '/jobs', query: ['after', 'limit'] }, input, options),
    getJob: (input, options) => call({ method: 'GET', path: '/jobs/{id}' }, input, options),
    streamEvents: (input, options) => call({ method: 'GET', path: '/events', query: ['from', 'action'], isStream: true }, input, options),
  }
}
