/**
 * Access rules for brokers that are not ours: the same that the embedded one enforces. The broker must take the common
 * name of the client certificate as the user name, which is the device id in the profiles that we ship.
 */
import type { DeviceId } from '../base/id.ts'
import {
  deviceLeaves,
  deviceTopic,
  dynsecRoleOf,
  everyDevice,
  serverLeaves,
  sharedFilter,
  shareGroup,
} from '../base/mqtt-topics.ts'

export interface AclOptions {
  readonly prefix: string
  /** Common name of the certificate with which the platform connects. */
  readonly platformUser: string
}

/** An `acl_file` of Mosquitto. The patterns stand for every device, so it does not change with the fleet. */
export function mosquittoAcl({ prefix, platformUser }: AclOptions): string {
  return [
    '# Access to the topics of devices. Written by `perennial broker acl`.',
    '# The user name is the common name of the client certificate (use_identity_as_username).',
    '',
    '# The platform',
    `user ${platformUser}`,
    ...serverLeaves.map((leaf) => `topic readwrite ${everyDevice(prefix, leaf)}`),
    ...deviceLeaves.map((leaf) => `topic read ${everyDevice(prefix, leaf)}`),
    '',
    '# Devices, each in its own subtree: %u is the user name',
    ...serverLeaves.map((leaf) => `pattern read ${prefix}/devices/%u/${leaf}`),
    ...deviceLeaves.map((leaf) => `pattern write ${prefix}/devices/%u/${leaf}`),
    '',
  ].join('\n')
}

/** The part of mosquitto.conf that goes with the access rules; paths are examples. */
export function mosquittoConf(directory = '/etc/mosquitto/perennial'): string {
  return [
    '# Part of mosquitto.conf. The CA file must hold the CAs of the devices and nothing else: whoever has a certificate of it',
    '# with the name of a device is that device.',
    'listener 8883',
    `cafile ${directory}/ca.pem`,
    `certfile ${directory}/server.pem`,
    `keyfile ${directory}/server.key`,
    '# Without it a revoked certificate is still let in; have it renewed and send SIGHUP, since an expired list locks all out.',
    `# crlfile ${directory}/crl.pem`,
    'require_certificate true',
    'use_identity_as_username true',
    'allow_anonymous false',
    `acl_file ${directory}/acl`,
    '# Triggers wait here for devices that sleep, also over a restart.',
    'persistence true',
    '# By default it writes them down every half hour, and a crash loses those since; a repeat of the trigger makes up for it.',
    'autosave_interval 60',
    'message_size_limit 65536',
    '# The default of 20 unacknowledged messages slows the platform down.',
    'max_inflight_messages 1000',
    '# What a fleet sends in one moment waits for the platform; more than the default of 1000.',
    'max_queued_messages 100000',
    'connection_messages true',
    '',
  ].join('\n')
}

interface DynsecRule {
  readonly acltype: 'publishClientSend' | 'publishClientReceive' | 'subscribePattern'
  readonly topic: string
  readonly allow: true
}

const dynsecRole = (rolename: string, rules: readonly (readonly [DynsecRule['acltype'], string])[]) => ({
  command: 'createRole',
  rolename,
  acls: rules.map(([acltype, topic]): DynsecRule => ({ acltype, topic, allow: true })),
})

/**
 * Commands of Mosquitto's dynamic security plugin for the platform. Version 2.0.11 knows no placeholder for the user in
 * these rules, so that each device needs a role and a client of its own: `dynsecDevice`.
 */
export function dynsecPlatform({ prefix, platformUser }: AclOptions): object[] {
  const rolename = 'perennial-platform'
  return [
    dynsecRole(rolename, [
      ...serverLeaves.map((leaf) => ['publishClientSend', everyDevice(prefix, leaf)] as const),
      ...deviceLeaves.map((leaf) => ['publishClientReceive', everyDevice(prefix, leaf)] as const),
      // the plugin compares shared subscriptions as they are written
      ...deviceLeaves.map(
        (leaf) => ['subscribePattern', sharedFilter(shareGroup, everyDevice(prefix, leaf))] as const,
      ),
    ]),
    { command: 'createClient', username: platformUser, roles: [{ rolename }] },
  ]
}

/** What the platform needs besides, to disable and enable the clients of devices (`connectors.mosquitto.dynsec`). */
export function dynsecAdministrator(platformUser: string): object[] {
  const rolename = 'perennial-sessions'
  const control = '$CONTROL/dynamic-security/v1'
  return [
    dynsecRole(rolename, [
      ['publishClientSend', control],
      ['publishClientReceive', `${control}/response`],
      ['subscribePattern', `${control}/response`],
    ]),
    { command: 'addClientRole', username: platformUser, rolename },
  ]
}

/** The same for one device. Its client has no password: only its certificate names it. */
export function dynsecDevice(prefix: string, deviceId: DeviceId): object[] {
  const rolename = dynsecRoleOf(deviceId)
  return [
    dynsecRole(rolename, [
      ...deviceLeaves.map((leaf) => ['publishClientSend', deviceTopic(prefix, deviceId, leaf)] as const),
      ...serverLeaves.map((leaf) => ['publishClientReceive', deviceTopic(prefix, deviceId, leaf)] as const),
      ['subscribePattern', `${prefix}/devices/${deviceId}/#`],
    ]),
    { command: 'createClient', username: deviceId, roles: [{ rolename }] },
  ]
}
