/** Decides that what a first answer does not need is made when it is first asked for: once, and again where that failed. */

/** Something that is made late. */
export interface FirstUse<Result> {
  /** Makes it, or joins whoever does; rejects when it can't be made, and tries again with the next call. */
  readonly get: () => Promise<Result>
  /** What was made or is being made; undefined when nobody has asked for it. */
  readonly made: () => Promise<Result> | undefined
}

/** Wraps what makes it. */
export function onFirstUse<Result>(make: () => Promise<Result>): FirstUse<Result> {
  let made: Promise<Result> | undefined
  return {
    get: () => {
      made ??= make().catch((error: unknown) => {
        made = undefined
        throw error
      })
      return made
    },
    made: () => made,
  }
}
