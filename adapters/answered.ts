/** A reply as Fastify has it, as far as it matters here. */
interface Reply {
  readonly sent: boolean
  send(payload?: unknown): unknown
}

/**
 * Tells whether an answer is on its way. `reply.sent` says so only once it is out, and the hooks and
 * serializers of an app may take their time: until then a refused request must not go on.
 */
export function answeredBy(reply: Reply): () => boolean {
  const { send } = reply
  let isAnswered = false
  reply.send = (payload) => {
    isAnswered = true
    return send.call(reply, payload)
  }
  return () => isAnswered || reply.sent
}
