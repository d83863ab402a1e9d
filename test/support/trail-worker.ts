/** A process that appends to the trails of the sessions that it is told. Runs as it is: Node strips the types. */
import { append, contentOf } from '../../src/testing/store/trail-fixtures.ts'
import { connect } from './connect.ts'

const [address = '', rounds = '', name = '', ...sessionIds] = process.argv.slice(2)
const { store, close } = connect(JSON.parse(address), 4)
const { trail } = store
if (!trail) throw new Error('This store has no trail.')

process.on('disconnect', () => process.exit())
process.send?.('ready')
// All of them begin at the same time.
await new Promise((resolve) => process.once('message', resolve))
/** The paths of each unit, by the number of its last entry. */
const done: { id: string; seq: number; paths: string[] }[] = []
const writers = sessionIds.flatMap((id) =>
  [1, 2].map(async (writer) => {
    for (let n = 0; n < Number(rounds); n++) {
      const paths = Array.from({ length: 1 + (n % 3) }, (_, m) => `/${name}/${writer}/${n}/${m}`)
      const seq = await append(trail, id, ...paths.map((path) => contentOf(id, { path })))
      done.push({ id, seq, paths })
    }
  }),
)
await Promise.all(writers)
await close()
process.send?.(done)
process.disconnect()
