/** Decides what stands in for `reflect-metadata`, which @peculiar/x509 wants on `Reflect` before it is loaded. */

// tsyringe, below @peculiar/x509, refuses to load without these three, and calls them only to wire its own
// extension classes, which carry no metadata. A real polyfill that is already there is left alone.
if (!('getMetadata' in Reflect)) {
  const known = new WeakMap<object, Map<unknown, unknown>>()
  const getMetadata = (key: unknown, target: object): unknown => known.get(target)?.get(key)
  const defineMetadata = (key: unknown, value: unknown, target: object): void => {
    known.set(target, (known.get(target) ?? new Map()).set(key, value))
  }
  Object.assign(Reflect, { getMetadata, getOwnMetadata: getMetadata, defineMetadata })
}
