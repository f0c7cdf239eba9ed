/** The `alerts` section, and the maps `notifiers`, `calendars` and `escalations`. */
import { defaultAlertSettings } from '../engine/alerts/alert-settings.ts'
import { ruleNames } from '../engine/alerts/alert-rule.ts'
import { choice, choices, duration, flag, integer, list, optionalText, section, text } from './knob.ts'

const name = '^[a-z0-9][a-z0-9-]{0,63}$'

export const alertsSection = section(
  'Alerts: what is judged, and how often. Who is told: notifiers, escalations.',
  {
    interval: duration({
      description: 'How often the rules are asked. Seconds of processor time at most, whatever the fleet.',
      shortest: '10s',
      longest: '1h',
      default: '1m',
    }),
    sweepInterval: duration({
      description:
        'How often every certificate near its end and every device is looked at; lead times are days, so an hour is soon enough.',
      shortest: '1m',
      longest: '1d',
      default: '1h',
    }),
    resolveAfter: duration({
      description:
        'An alert is resolved when its cause has been gone for this long: what flaps is one alert.',
      shortest: '0',
      longest: '1d',
      default: '15m',
    }),
    chance: integer({
      description:
        'A device counts when the chance that it renews in time is below this; `alert show` says how it was reckoned.',
      unit: 'percent',
      minimum: 1,
      maximum: 99,
      default: defaultAlertSettings.chancePercent,
    }),
    weeklyCapacity: integer({
      description:
        'Certificates that you can renew in a week: more ends in one are a wave. 0: 40 hours of campaigns.capacityPerMinute.',
      minimum: 0,
      maximum: 1_000_000_000,
      default: 0,
    }),
    darkPoints: integer({
      description: 'Points above the usual share of silent devices of a connectivity and site.',
      unit: 'percent',
      minimum: 1,
      maximum: 100,
      default: defaultAlertSettings.darkPoints,
    }),
    maximumPerHour: integer({
      description:
        'Messages to one notifier within an hour; what is more goes out together later. Incident tools get one for each alert.',
      minimum: 1,
      maximum: 1_000,
      default: defaultAlertSettings.maximumPerHour,
    }),
    runbookUrl: optionalText({
      description: 'Where your copy of docs/runbooks is; the name of the rule is appended to it in messages.',
      pattern: '^https?://[^ ]+[^/ ]$',
      example: 'https://wiki.example.com/perennial',
    }),
  },
)

/** One entry serves all kinds; which keys a kind needs and takes is in `notifierKeys`. */
export const notifierEntry = section('Who is told of alerts, by name.', {
  kind: choice({
    description: 'How.',
    enum: ['email', 'webhook', 'slack', 'teams', 'pagerduty', 'opsgenie', 'sms'],
    default: 'email',
  }),
  to: list({
    description:
      'email: addresses. sms: numbers with their plus. opsgenie: teams (empty: as its integration routes).',
    items: '^[^ ,<>]{1,254}$',
    example: 'ops@example.com',
    default: [],
  }),
  from: text({
    description: 'email: the sender.',
    maxLength: 254,
    pattern: '^([^ @<>]+@[^ @<>]+|)$',
    example: 'perennial@example.com',
    default: '',
  }),
  url: optionalText({
    description:
      'webhook, slack, teams: where to post. pagerduty, opsgenie: another address than that of the service. email: smtp://host:port or smtps://host:port.',
    pattern: '^(https?|smtps?)://[^ ]+$',
    example: 'https://hooks.example.com/perennial',
    secret: true,
  }),
  secret: optionalText({
    description:
      'webhook: key of the signature (whsec_…). pagerduty: the routing key. opsgenie: the API key. email: the password.',
    secret: true,
  }),
  user: text({ description: 'email: account at the mail server; empty: none.', maxLength: 254, default: '' }),
  timeout: duration({
    description: 'How long the receiver may take to answer.',
    shortest: '1s',
    longest: '2m',
    default: '20s',
  }),
  allow: list({
    description:
      'Addresses inside your network (10.1.2.3, 10.1.0.0/16) that this notifier may reach. Without them only public ones are, whatever the name says.',
    items: '^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$',
    example: '10.1.2.3',
    default: [],
  }),
  insecureHttp: flag({
    description: 'Allow plain http, or SMTP without TLS, to another machine. Anyone on the way reads it.',
    default: false,
  }),
  calendar: text({
    description: 'Name of the calendar in whose hours messages may come; empty: at any time.',
    pattern: `${name.slice(0, -1)}$|^$`,
    example: 'office',
    default: '',
  }),
  outsideHours: choice({
    description: 'wait: until the calendar opens. skip: the next step of the escalation is taken at once.',
    enum: ['wait', 'skip'],
    default: 'wait',
  }),
  breaksThrough: choice({
    description: 'critical: such alerts pay no heed to the calendar.',
    enum: ['critical', 'never'],
    default: 'critical',
  }),
})

export const calendarEntry = section('When people may be written to.', {
  timeZone: text({ description: 'IANA time zone of the hours.', maxLength: 64, default: 'UTC' }),
  hours: list({
    description: 'Days and hours; an end before the start is one of the next day.',
    example: 'MON-FRI 08:00-18:00',
    default: ['MON-FRI 08:00-18:00'],
  }),
  daysOff: list({
    description: 'Days on which it is closed.',
    items: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$',
    example: '2026-12-25',
    default: [],
  }),
})

export const escalationEntry = section(
  'Who is told one after the other until somebody acknowledges. The first that fits an alert takes it.',
  {
    rules: choices({ description: 'Of these rules; empty: of all.', enum: ruleNames, default: [] }),
    minimumSeverity: choice({
      description: 'Of this severity or graver.',
      enum: ['notice', 'warning', 'critical'],
      default: 'notice',
    }),
    steps: list({
      description: 'Notifiers in order; after= is how long the step before has had.',
      items: '^[a-z0-9][a-z0-9-]{0,63}( after=[1-9][0-9]*[smhd])?$',
      example: 'oncall after=15m',
      default: [],
    }),
  },
)
