/** Work of one kind: never twice at once, and it waits for no other kind. */
export interface Lane {
  /** One round of it, after what is under way. Who asks while a round waits for its turn shares that one. */
  round(): Promise<number>
  /** Lets the next round wait for this, too. */
  after(work: Promise<unknown>): void
  /** Settles with what is under way; never rejects. */
  idle(): Promise<unknown>
}

export function createLane(work: () => Promise<number>): Lane {
  let busy: Promise<unknown> = Promise.resolve()
  let next: Promise<number> | undefined

  return {
    round() {
      if (next) return next
      const mine = busy.then(() => {
        next = undefined
        return work()
      })
      next = mine
      busy = mine.catch(() => {})
      return mine
    },
    after(other) {
      busy = Promise.allSettled([busy, other])
    },
    idle: () => busy,
  }
}
