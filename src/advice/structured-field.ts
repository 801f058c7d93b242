/**
 * A list of tokens with a text each, as RFC 9651 writes it: `limit_out_of_range;text="limit takes …", order_unknown;text="…"`.
 * https://www.rfc-editor.org/rfc/rfc9651.html#section-4.1
 */
export function serializeItem (token: string, text: string): string {
  if (!/^[A-Za-z*][\w!#$%&'*+\-.^`|~:/]*$/.test(token)) throw new TypeError(`${JSON.stringify(token)} is no token`)
  return `${token};text="${text.replace(/[^ -~]/g, '?').replace(/["\\]/g, '\\$&')}"`
}

export function serializeList (items: readonly string[]): string {
  return items.join(', ')
}
