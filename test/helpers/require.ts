/**
 * Programs of the operating system that some tests need. `scripts/setup.sh --with-rings` installs them where it may;
 * elsewhere the test is skipped by name with the reason given here:
 *
 *     test('strongSwan enrols', { skip: missing('strongswan') }, async () => { … })
 */
import { existsSync, globSync, accessSync, constants } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'

export type ProgramName = keyof typeof programs

interface Program {
  /** The main executable, or null when it is not there. */
  readonly find: () => string | null
  /** Files without which the executable is of no use. */
  readonly files?: readonly string[]
  /** What to install, in the words of Debian. */
  readonly install: string
}

/** The library of SoftHSM, a PKCS #11 token in software. */
export const softhsmModule = '/usr/lib/softhsm/libsofthsm2.so'

const multiarch = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch as string] ?? 'lib'

/** Preloaded, it shows a process another time. */
export const faketimeLibrary = `/usr/lib/${multiarch}/faketime/libfaketime.so.1`

const jars = ['bcpkix', 'bcprov', 'bcutil', 'bctls'].map((name) => `/usr/share/java/${name}.jar`)

const programs = {
  openssl: { find: () => onPath('openssl'), install: 'openssl' },
  curl: { find: () => onPath('curl'), install: 'curl' },
  strongswan: {
    find: () => onPath('pki'),
    files: [
      '/usr/lib/ipsec/plugins/libstrongswan-openssl.so',
      '/usr/lib/ipsec/plugins/libstrongswan-curl.so',
    ],
    install: 'strongswan-pki libstrongswan-standard-plugins libstrongswan-extra-plugins',
  },
  certtool: { find: () => onPath('certtool'), install: 'gnutls-bin' },
  ocsptool: { find: () => onPath('ocsptool'), install: 'gnutls-bin' },
  nginx: {
    find: () => onPath('nginx') ?? (isExecutable('/usr/sbin/nginx') ? '/usr/sbin/nginx' : null),
    install: 'nginx-light',
  },
  haproxy: {
    find: () => onPath('haproxy') ?? (isExecutable('/usr/sbin/haproxy') ? '/usr/sbin/haproxy' : null),
    install: 'haproxy',
  },
  mosquitto: {
    find: () => onPath('mosquitto') ?? (isExecutable('/usr/sbin/mosquitto') ? '/usr/sbin/mosquitto' : null),
    install: 'mosquitto',
  },
  kannel: {
    find: () => (isExecutable('/usr/sbin/bearerbox') ? '/usr/sbin/bearerbox' : null),
    files: ['/usr/sbin/smsbox'],
    install: 'kannel',
  },
  mosquitto_pub: { find: () => onPath('mosquitto_pub'), install: 'mosquitto-clients' },
  mosquitto_sub: { find: () => onPath('mosquitto_sub'), install: 'mosquitto-clients' },
  promtool: { find: () => onPath('promtool'), install: 'prometheus' },
  'docker-compose': { find: () => onPath('docker-compose'), install: 'docker-compose' },
  'systemd-analyze': { find: () => onPath('systemd-analyze'), install: 'systemd' },
  javac: { find: () => onPath('javac'), install: 'default-jdk-headless' },
  bouncycastle: {
    find: () => onPath('javac'),
    files: jars,
    install: 'default-jdk-headless libbcpkix-java libbcprov-java libbcutil-java libbctls-java',
  },
  chromium: { find: () => onPath('chromium'), install: 'chromium' },
  go: { find: () => onPath('go'), install: 'golang-go' },
  'go-tlog': {
    find: () => onPath('go'),
    files: ['/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog/tlog.go'],
    install: 'golang-go golang-golang-x-mod-dev',
  },
  postgresql: {
    find: () => globSync('/usr/lib/postgresql/*/bin/initdb').sort().at(-1) ?? onPath('initdb'),
    install: 'postgresql',
  },
  softhsm: {
    find: () => onPath('softhsm2-util'),
    files: [softhsmModule],
    install: 'softhsm2',
  },
  'pkcs11-tool': {
    find: () => onPath('pkcs11-tool'),
    install: 'opensc',
  },
  'openssl-pkcs11': {
    find: () => onPath('openssl'),
    files: [`/usr/lib/${multiarch}/engines-3/pkcs11.so`],
    install: 'libengine-pkcs11-openssl',
  },
  swtpm: { find: () => onPath('swtpm') && onPath('swtpm_setup'), install: 'swtpm swtpm-tools' },
  'openssl-tpm2': {
    find: () => onPath('openssl'),
    files: [`/usr/lib/${multiarch}/ossl-modules/tpm2.so`],
    install: 'tpm2-openssl',
  },
  'tpm2-abrmd': {
    find: () =>
      onPath('tpm2-abrmd') ?? (isExecutable('/usr/sbin/tpm2-abrmd') ? '/usr/sbin/tpm2-abrmd' : null),
    install: 'tpm2-abrmd libtss2-tcti-tabrmd0 libtss2-tcti-swtpm0',
  },
  faketime: {
    find: () => onPath('faketime'),
    files: [faketimeLibrary],
    install: 'faketime',
  },
  dbus: { find: () => onPath('dbus-daemon') && onPath('dbus-send'), install: 'dbus' },
  zlint: {
    find: () => {
      const unpacked = resolve(import.meta.dirname, '../../.cache/zlint/usr/bin/zlint')
      return existsSync(unpacked) ? unpacked : onPath('zlint')
    },
    install: 'zlint (Debian 13 or newer; scripts/setup.sh --with-rings unpacks it under .cache)',
  },
} as const satisfies Record<string, Program>

/** @returns false when all are there (run the test), otherwise the reason for the `skip` option */
export function missing(...names: readonly ProgramName[]): string | false {
  for (const name of names) {
    const program: Program = programs[name]
    const lacks = program.find() === null || program.files?.some((file) => !existsSync(file))
    if (lacks) return `${name} is not installed (Debian: apt-get install ${program.install})`
  }
  return false
}

/** The absolute path of a program for which `missing` has answered false. PostgreSQL: of its `initdb`. */
export function programPath(name: ProgramName): string {
  const path = programs[name].find()
  if (path === null) throw new Error(`${name} is not installed; guard the test with missing('${name}')`)
  return path
}

function onPath(name: string): string | null {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(directory, name)
    if (directory !== '' && isExecutable(path)) return path
  }
  return null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
