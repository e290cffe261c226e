/**
 * A span of time as errors, logs and explanations tell it: whole milliseconds, a part of one for a whole, and never below
 * nothing. Clocks give fractions, and what is left of a time-out that has passed is negative.
 */
export const text = (millis: number): string => `${Math.max(0, Math.ceil(millis))} ms`
