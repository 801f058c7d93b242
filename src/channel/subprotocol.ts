/**
 * Which of the subprotocols that a client offers the handshake names: one that carries no key or token. The API takes the
 * key as `pelion_<key>` beside `wss`; to name that in the answer would write a secret into a header.
 */
export function chooseSubprotocol (offered: Iterable<string>): string | false {
  for (const protocol of offered) {
    if (!/^(pelion_|ak_|izp_|rt_)/i.test(protocol) && protocol.length <= 32) return protocol
  }
  return false
}
