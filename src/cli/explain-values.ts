/** Decides how a value of a token is shown to a person: cut, on one line, and never a token. */
import { TOKEN_SHAPE } from '../http/logger.ts'

const MAX_CHARACTERS = 160
const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

/** Makes text of a token or of another party fit for a terminal. */
export function showText(text: string): string {
  const line = text.replace(TOKEN_SHAPE, '[token]').replace(/\p{C}/gu, ' ')
  return line.length > MAX_CHARACTERS ? `${line.slice(0, MAX_CHARACTERS)}…` : line
}

/** A received or expected value: text as it is, everything else as JSON. */
export function showValue(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value) && value.every(item => typeof item === 'string')) {
    return value.length === 0 ? 'none' : showText(value.join(', '))
  }
  return showText(typeof value === 'string' ? value : JSON.stringify(value))
}

/** `45 s`, `3 min`, `2 h`, `4 days`. */
export function showDuration(seconds: number): string {
  const length = Math.abs(Math.round(seconds))
  if (length < 2 * MINUTE) return `${length} s`
  if (length < 2 * HOUR) return `${Math.round(length / MINUTE)} min`
  return length < 2 * DAY ? `${Math.round(length / HOUR)} h` : `${Math.round(length / DAY)} days`
}

/** A NumericDate as a time of day and its distance from now; what is none as it is. */
export function showDate(date: unknown, nowSeconds: number): string {
  if (typeof date !== 'number' || !Number.isFinite(date) || Math.abs(date) > 8.64e12) return showValue(date)
  const text = new Date(date * 1000).toISOString().replace(/\.\d+/, '')
  return date <= nowSeconds
    ? `${text}, ${showDuration(nowSeconds - date)} ago`
    : `${text}, in ${showDuration(date - nowSeconds)}`
}

/** Says how two clocks differ. @param aheadSeconds this machine's time minus the issuer's */
export function showClock(aheadSeconds: number): string {
  if (Math.abs(aheadSeconds) < 2) return "this machine's clock agrees with the issuer's"
  return `this machine's clock is ${showDuration(aheadSeconds)} ${aheadSeconds > 0 ? 'ahead of' : 'behind'} the issuer's`
}
