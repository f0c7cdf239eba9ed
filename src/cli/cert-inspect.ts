/** `cert inspect|lint|verify`: tools that read any certificate, with and without an installation. */
import type { Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { printable } from '../base/text.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import { parseCsr, verifyCsr, type Csr } from '../pki/csr.ts'
import { lintCertificate, type LintFinding, type LintPurpose } from '../pki/lint.ts'
import { formatName } from '../pki/name-text.ts'
import { equalNames } from '../pki/name.ts'
import { isOid, oidFromName, oids } from '../pki/oid.ts'
import { validatePath } from '../pki/path.ts'
import { certificateJson, certificateLines, csrJson, csrLines } from './certificate-view.ts'
import type { CliContext } from './context.ts'
import { readCertificates, readCredentials } from './credential-file.ts'
import { FoundProblems } from './failure.ts'
import { plural } from './import.ts'
import type { Json } from './output.ts'
import { day, describeLeft } from './time.ts'

export async function inspect(cli: CliContext, file: string): Promise<void> {
  const credentials = readCredentials(await cli.readInput(file), file)
  const now = cli.clock.now()
  const { style } = cli.output
  const views = credentials.map(({ kind, der }): { json: Json; lines: string[] } => {
    if (kind === 'certificate') {
      const certificate = parseCertificate(der)
      return { json: certificateJson(certificate), lines: certificateLines(certificate, now, style) }
    }
    const csr = parseCsr(der)
    const isGood = hasGoodSignature(csr)
    return { json: csrJson(csr, isGood), lines: csrLines(csr, isGood, style) }
  })
  cli.output.answer({
    json: views.map(({ json }) => json),
    text: () => views.map(({ lines }) => lines.join('\n')).join('\n\n'),
  })
}

function hasGoodSignature(csr: Csr): boolean {
  try {
    verifyCsr(csr)
    return true
  } catch (error) {
    if (error instanceof Refusal) return false
    throw error
  }
}

export interface LintOptions {
  readonly issuer?: string
  readonly purpose?: LintPurpose
}

export async function lint(cli: CliContext, file: string, { issuer, purpose }: LintOptions): Promise<void> {
  const certificates = readCertificates(await cli.readInput(file), file).map(parseCertificate)
  const given =
    issuer === undefined ? [] : readCertificates(await cli.readInput(issuer), issuer).map(parseCertificate)
  const candidates = [...given, ...certificates, ...(await ownIssuers(cli))]
  const results = certificates.map((certificate) => {
    const isSelfSigned = equalNames(certificate.issuer, certificate.subject)
    const signer = isSelfSigned ? null : (issuerOf(certificate, candidates) ?? 'unknown')
    const context = { purpose: purpose ?? purposeOf(certificate) }
    const findings = lintCertificate({ tbs: certificate.tbs, issuer: signer, context })
    return { certificate, findings, isIssuerKnown: signer !== 'unknown' }
  })
  cli.output.answer({
    json: results.map(({ certificate, findings }) => ({
      subject: formatName(certificate.subject),
      serialNumber: certificate.serialNumber,
      findings: findings.map((finding) => ({ ...finding })),
    })),
    text: () => results.flatMap((result) => lintLines(cli, result)).join('\n'),
  })
  if (results.some(({ findings }) => findings.some(({ severity }) => severity === 'error')))
    throw new FoundProblems()
}

/** What a certificate is for, as far as it says so itself. */
function purposeOf({ subject, extensions }: Certificate): LintPurpose {
  if (extensions.basicConstraints?.ca) return 'ca'
  if (extensions.extendedKeyUsage?.includes(oids.serverAuth)) return 'server'
  return subject.flat().some(({ type }) => type === oids.matterVid) ? 'matter-dac' : 'device'
}

function lintLines(
  cli: CliContext,
  {
    certificate,
    findings,
    isIssuerKnown,
  }: { certificate: Certificate; findings: readonly LintFinding[]; isIssuerKnown: boolean },
): string[] {
  const { style } = cli.output
  const name = style.bold(printable(formatName(certificate.subject) || certificate.serialNumber))
  const unknown = isIssuerKnown
    ? []
    : [style.dim('  Its issuer is not here (--issuer): rules about the two together were not checked.')]
  if (findings.length === 0) return [`${name}: ${style.green('nothing to say against it')}`, ...unknown]
  const lines = findings.map(({ rule, clause, severity, message }) => {
    const mark = severity === 'error' ? style.red('error  ') : style.yellow('warning')
    return `  ${mark}  ${clause}: ${printable(message)} ${style.dim(`[${rule}]`)}`
  })
  return [`${name}: ${plural(findings.length, 'finding')}`, ...lines, ...unknown]
}

export interface VerifyOptions {
  readonly anchors?: string
  readonly intermediates?: string
  readonly purpose?: string
  readonly at?: Instant
}

export async function verify(cli: CliContext, file: string, options: VerifyOptions): Promise<void> {
  const { anchors, intermediates, purpose, at = cli.clock.now() } = options
  const read = async (name: string) => readCertificates(await cli.readInput(name), name).map(parseCertificate)
  const [leaf, ...rest] = await read(file)
  if (!leaf) throw new Refusal('malformed', `${file} holds no certificate`)
  const own = anchors === undefined ? await installationIssuers(cli) : []
  const path = validatePath({
    leaf,
    intermediates: [
      ...rest,
      ...(intermediates === undefined ? [] : await read(intermediates)),
      ...own.filter(isNotRoot),
    ],
    anchors: anchors === undefined ? own.filter((each) => !isNotRoot(each)) : await read(anchors),
    at,
    ...(purpose === undefined ? {} : { purpose: usageOid(purpose) }),
  })
  cli.output.answer({
    json: {
      valid: true,
      path: path.map((each) => ({
        subject: formatName(each.subject),
        serialNumber: each.serialNumber,
        notAfter: day(each.notAfter),
      })),
    },
    text: () => pathLines(cli, path, at).join('\n'),
  })
}

function pathLines(cli: CliContext, path: readonly Certificate[], at: Instant): string[] {
  const { style } = cli.output
  const lines = path.map((each, depth) => {
    const left = describeLeft(each.notAfter, at)
    return `${'  '.repeat(depth)}${depth === 0 ? '' : '└ '}${printable(formatName(each.subject))}  ${style.dim(`ends ${day(each.notAfter)}, ${left}`)}`
  })
  return [
    style.green('The path is valid.'),
    ...lines,
    style.dim('Revocation is not part of this check; `perennial cert show` says the status on record.'),
  ]
}

function usageOid(text: string): string {
  const oid = isOid(text) ? text : oidFromName(text)
  if (oid !== null) return oid
  throw new Refusal(
    'invalid-input',
    `${text} is no extended key usage; give a name like clientAuth, or an object identifier`,
  )
}

/** Issuers of this installation, none when there is no installation: the tools work without one. */
async function ownIssuers(cli: CliContext): Promise<Certificate[]> {
  try {
    return await installationIssuers(cli)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'data-directory-invalid') return []
    throw error
  }
}

async function installationIssuers(cli: CliContext): Promise<Certificate[]> {
  const { engine } = await cli.app()
  const issuers = await engine.issuers.list()
  return issuers.flatMap(({ kind, certificate }) =>
    kind === 'external' || certificate === null ? [] : [parseCertificate(certificate)],
  )
}

function isNotRoot({ issuer, subject }: Certificate): boolean {
  return !equalNames(issuer, subject)
}

function issuerOf(
  { issuer, extensions }: Certificate,
  candidates: readonly Certificate[],
): Certificate | null {
  const wanted = extensions.authorityKeyIdentifier?.keyIdentifier ?? null
  const named = candidates.filter(({ subject }) => equalNames(subject, issuer))
  const byKey = named.find((each) => {
    const own = each.extensions.subjectKeyIdentifier
    return wanted !== null && own !== null && Buffer.compare(wanted, own) === 0
  })
  return byKey ?? (wanted === null ? (named[0] ?? null) : null)
}
