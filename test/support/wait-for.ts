/** Asks again and again until the answer is as wanted; fails loudly with the last answer when the time is up. */
export async function waitFor<T> (what: string, ask: () => T | Promise<T>, enough: (answer: T) => boolean, timeoutMs = 20_000): Promise<T> {
  const deadline = performance.now() + timeoutMs
  while (true) {
    const answer = await ask()
    if (enough(answer)) return answer
    if (performance.now() > deadline) throw new Error(`${what}: not as expected after ${timeoutMs} ms; last: ${JSON.stringify(answer)?.slice(0, 2000)}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
