/**
 * Thrown where Java throws. A filter that cannot be made is refused in its words; a message whose evaluation ends so does not
 * match, whatever the rest of the filter says.
 */
export class JavaException extends Error {
  /** As `Throwable.toString` has it: the class, and what it says. */
  readonly java: string
  constructor(className: string, message?: string) {
    super(message)
    this.java = message === undefined ? className : `${className}: ${message}`
  }
}

/** A `RuntimeException`. */
export const runtimeException = (message: string): JavaException =>
  new JavaException("java.lang.RuntimeException", message)
