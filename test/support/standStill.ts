const never = new Int32Array(new SharedArrayBuffer(4))

/**
 * The event loop of this process stands still for so many milliseconds, as in a long computation, and without keeping a
 * core busy that somebody else needs: the thread sleeps.
 */
export const standStill = (millis: number): void => {
  Atomics.wait(never, 0, 0, millis)
}
