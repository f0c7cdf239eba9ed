/** E-mail, against a real SMTP server in the process; and SMS, against a real Kannel-like web server. */
import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { SMTPServer } from 'smtp-server'
import { notifierConformance, refusal, sampleMessage } from '../../test/conformance/notifier.ts'
import { startReceiver } from '../../test/helpers/http-receiver.ts'
import { testTriggerHost } from '../../test/helpers/trigger-host.ts'
import { openSmsGateway } from '../triggers/sms.ts'
import { createEmail } from './email.ts'
import { createSmsNotifier } from './sms.ts'

const name = 'notifiers.mail'
const signal = new AbortController().signal

interface Sink {
  readonly port: number
  readonly mails: string[]
  readonly envelopes: { readonly from: string; readonly to: readonly string[] }[]
  /** Code of the answer to RCPT; null takes everything. */
  refuseWith: number | null
  close(): Promise<void>
}

async function startSink(password: string | null = null): Promise<Sink> {
  const server = new SMTPServer({
    authOptional: password === null,
    disabledCommands: password === null ? ['AUTH', 'STARTTLS'] : ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: (auth, _session, callback) => {
      if (auth.username === 'perennial' && auth.password === password) callback(null, { user: 'perennial' })
      else callback(Object.assign(new Error('no'), { responseCode: 535 }))
    },
    onRcptTo: (_address, _session, callback) => {
      if (sink.refuseWith === null) callback()
      else callback(Object.assign(new Error('no'), { responseCode: sink.refuseWith }))
    },
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => void chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        sink.mails.push(Buffer.concat(chunks).toString('utf8'))
        sink.envelopes.push({
          from: mailFrom === false ? '' : (mailFrom?.address ?? ''),
          to: rcptTo.map(({ address }) => address),
        })
        callback()
      })
    },
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()))
  const { port } = server.server.address() as AddressInfo
  const sink: Sink = {
    port,
    mails: [],
    envelopes: [],
    refuseWith: null,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  }
  return sink
}

function options(user: string | null = null) {
  const to = ['ops@example.com', 'pki@example.com']
  return { name, from: 'perennial@example.com', to, user, timeoutMs: 5_000, insecureHttp: false }
}

function host(port: number, secret = 's3cret') {
  return testTriggerHost({
    secrets: { [`${name}.url`]: `smtp://127.0.0.1:${port}`, [`${name}.secret`]: secret },
  })
}

notifierConformance('email', async () => {
  const sink = await startSink()
  return {
    notifier: await createEmail(options(), host(sink.port)),
    received: () => sink.mails,
    setFailing: (isFailing) => void (sink.refuseWith = isFailing ? 451 : null),
    secrets: ['s3cret'],
    close: async () => await sink.close(),
  }
})

notifierConformance('sms', async () => {
  const receiver = await startReceiver()
  receiver.answer = { status: 202, body: '0: Accepted for delivery' }
  const trigger = testTriggerHost({ secrets: { 'sms.kannel.password': 's3cret' } })
  const gateway = await openSmsGateway(
    {
      provider: 'kannel',
      url: `${receiver.url}/cgi-bin/sendsms`,
      username: 'perennial',
      password: 'sms.kannel.password',
      from: 'Perennial',
      smsc: null,
      reportUrl: null,
      timeoutMs: 5_000,
      insecureHttp: false,
    },
    trigger,
  )
  const sms = { ...trigger, sms: gateway }
  return {
    notifier: await createSmsNotifier({ name: 'notifiers.sms', to: ['+436601234567'] }, sms),
    received: () =>
      receiver.requests.map(({ path }) => new URLSearchParams(path.split('?')[1]).get('text') ?? ''),
    setFailing: (isFailing) =>
      void (receiver.answer = { status: isFailing ? 503 : 202, body: '0: Accepted for delivery' }),
    secrets: ['s3cret'],
    close: async () => await receiver.close(),
  }
})

test('a mail goes to everybody, says what is wrong, and is known again by its id', async () => {
  const sink = await startSink()
  const notifier = await createEmail(options(), host(sink.port))
  await notifier.notify(sampleMessage(), signal)
  await notifier.notify(sampleMessage(), signal)
  const [first, second] = sink.mails
  assert.deepEqual(sink.envelopes[0], {
    from: 'perennial@example.com',
    to: ['ops@example.com', 'pki@example.com'],
  })
  const idOf = (mail = '') => /^Message-ID: (.*)$/im.exec(mail)?.[1]
  assert.match(idOf(first) ?? '', /^<notification-1\..*@example\.com>$/)
  assert.equal(idOf(first), idOf(second))
  assert.match(first ?? '', /^Auto-Submitted: auto-generated/im)
  assert.match(first?.replace(/=\r\n/g, '') ?? '', /what to do: https:\/\/wiki\.example/)
  await notifier.close()
  await sink.close()
})

test('no text of an alert makes a header', async () => {
  const sink = await startSink()
  const notifier = await createEmail(options(), host(sink.port))
  const source = 'Example\r\nBcc: evil@example.com'
  await notifier.notify(sampleMessage({ source }), signal)
  assert.doesNotMatch(sink.mails[0] ?? '', /^Bcc:/im)
  assert.equal(sink.envelopes[0]?.to.length, 2)
  await notifier.close()
  await sink.close()
})

test('an account is shown to the server; a wrong password is told without it', async () => {
  const sink = await startSink('s3cret')
  const right = await createEmail(options('perennial'), host(sink.port))
  await right.notify(sampleMessage(), signal)
  assert.equal(sink.mails.length, 1)
  const wrong = await createEmail(options('perennial'), host(sink.port, 'hunter2'))
  const refused = await refusal(wrong.notify(sampleMessage(), signal))
  assert.match(refused.message, /535/)
  assert.ok(!refused.message.includes('hunter2'))
  await right.close()
  await wrong.close()
  await sink.close()
})

test('an address that does not exist is not asked again', async () => {
  const sink = await startSink()
  sink.refuseWith = 550
  const notifier = await createEmail(options(), host(sink.port))
  assert.equal((await refusal(notifier.notify(sampleMessage(), signal))).code, 'notify-impossible')
  await notifier.close()
  await sink.close()
})

test('an address of another kind is refused when it is set up', async () => {
  const bad = testTriggerHost({ secrets: { [`${name}.url`]: 'https://mail.example.com' } })
  assert.equal((await refusal(createEmail(options(), bad))).code, 'configuration-invalid')
})
