/**
 * A span of time as errors, logs and explanations tell it: whole milliseconds, rounded up, and never below
 * zero. Clocks give fractions, and the rest of a timeout that has passed is negative.
 */
export const text = (millis: number): string => `${Math.max(0, Math.ceil(millis))} ms`
