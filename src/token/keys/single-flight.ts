/** Decides that one fetch at a time is enough: whoever asks while one is under way gets its outcome. */

/** An action of which at most one runs at a time. */
export interface SingleFlight<Argument, Result> {
  /** Joins the run under way, or starts one. */
  readonly run: (argument: Argument) => Promise<Result>
  /** The run under way. */
  readonly pending: () => Promise<Result> | undefined
}

/** Wraps an action; late callers can't overwrite an earlier result, because there is only one. */
export function singleFlight<Argument, Result>(
  action: (argument: Argument) => Promise<Result>,
): SingleFlight<Argument, Result> {
  let pending: Promise<Result> | undefined
  return {
    run: argument => {
      pending ??= action(argument).finally(() => {
        pending = undefined
      })
      return pending
    },
    pending: () => pending,
  }
}
