/** How a broker of ours learns, in whatever process the decision was made, whose sessions to look at again. */
import { secondMs, type Instant } from '../../base/clock.ts'
import {
  lastSessionCut,
  putCutResult,
  putSessionWatcher,
  sessionCutsAfter,
  type SessionCut,
} from '../../store/session-cuts.ts'
import type { Engine } from '../context.ts'
import type { JobResult } from '../jobs.ts'

export type { SessionCut }

/** Cuts in one pass. */
const batch = 500
/** On PostgreSQL a transaction that commits late may have a lower number: so many are looked at again. */
const overlap = 200
/** A broker that has nothing to do says this often that it is there. */
const beatMs = 15 * secondMs

export class CutWatcher {
  readonly #engine: Engine
  readonly #name: string
  #position: number | null = null
  #seen = new Set<number>()
  #beatAt = 0

  /** @param name of this process, for `perennial revoke status` */
  constructor(engine: Engine, name: string) {
    this.#engine = engine
    this.#name = name
  }

  /**
   * One bounded pass.
   * @param cut looks at the sessions that it is about, and ends those whose certificate or device does not count any more
   *   (how many)
   */
  async pass(now: Instant, cut: (cut: SessionCut) => Promise<number>): Promise<JobResult> {
    const { store } = this.#engine
    if (this.#position === null) {
      // sessions are looked at when they begin: what was cut before this process began is no concern of it
      this.#position = await lastSessionCut(store.db)
      const before = await sessionCutsAfter(store.db, Math.max(0, this.#position - overlap), batch)
      for (const { id } of before) this.#seen.add(id)
      await this.#say(now, [])
      return { worked: 0 }
    }
    const from = store.engine === 'postgres' ? Math.max(0, this.#position - overlap) : this.#position
    const cuts = await sessionCutsAfter(store.db, from, batch + overlap)
    const fresh = cuts.filter(({ id }) => !this.#seen.has(id) && (id > from || store.engine === 'postgres'))
    if (fresh.length === 0) {
      if (now - this.#beatAt >= beatMs) await this.#say(now, [])
      return { worked: 0 }
    }
    const ended: { readonly cut: SessionCut; readonly sessions: number }[] = []
    for (const each of fresh) {
      const sessions = each.why === 'released' ? 0 : await cut(each)
      if (sessions > 0) ended.push({ cut: each, sessions })
    }
    this.#position = Math.max(this.#position, ...fresh.map(({ id }) => id))
    const kept = this.#position - 2 * overlap
    this.#seen = new Set([...this.#seen, ...fresh.map(({ id }) => id)].filter((id) => id > kept))
    await this.#say(this.#engine.clock.now(), ended)
    return { worked: fresh.length, isBehind: cuts.length === batch + overlap }
  }

  async #say(
    now: Instant,
    ended: readonly { readonly cut: SessionCut; readonly sessions: number }[],
  ): Promise<void> {
    const cutId = this.#position ?? 0
    await this.#engine.store.transaction(async (tx) => {
      await putSessionWatcher(tx, { name: this.#name, cutId, at: now })
      for (const { cut, sessions } of ended)
        await putCutResult(tx, cut.id, { surface: this.#name, at: now, sessions })
    })
    this.#beatAt = now
  }
}
