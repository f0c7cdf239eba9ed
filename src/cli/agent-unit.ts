/** The systemd unit of `perennial agent run`. */
import type { KeystoreConfig } from '../agent/keystore-config.ts'

export interface AgentUnit {
  /** Program and first arguments, absolute. */
  readonly command: readonly string[]
  readonly state: string
  readonly user: string
  /** Where its keys are: tokens and TPMs are reached through devices and local sockets. */
  readonly keystore: KeystoreConfig['kind']
}

/** The agent needs the network, its state directory and nothing else. MemoryDenyWriteExecute is left out: Node compiles. */
export function agentUnit({ command, state, user, keystore }: AgentUnit): string {
  const words = [...command, 'agent', 'run', '--state', state].map((word) =>
    quoted(word.replaceAll('$', () => '$$')),
  )
  return `[Unit]
Description=Perennial device agent
Wants=network-online.target time-sync.target
After=network-online.target time-sync.target
StartLimitIntervalSec=0

[Service]
ExecStart=${words.join(' ')}
User=${user}
UMask=0077
Restart=on-failure
RestartSec=60
TimeoutStopSec=60
ReadWritePaths=${quoted(state)}
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
${devices[keystore]}
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6${keystore === 'file' ? '' : ' AF_UNIX'}
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`
}

/** A TPM is a device of group `tss`; a token is a device, or behind the socket of pcscd. */
const devices: Readonly<Record<KeystoreConfig['kind'], string>> = {
  file: 'PrivateDevices=yes',
  tpm2: 'DevicePolicy=closed\nDeviceAllow=/dev/tpmrm0 rw\nSupplementaryGroups=tss',
  pkcs11: 'DevicePolicy=auto',
}

/** systemd.service(5), "Command lines", and systemd.unit(5), "Specifiers". */
function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%')
  if (!/[\s"'\\;]/.test(escaped)) return escaped
  return `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
