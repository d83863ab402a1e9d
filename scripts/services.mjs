// Says which of the databases that the tests want are running. With CI=true a missing one is a failure;
// elsewhere the tests that want it are skipped.

import { connect } from 'node:net'
import process from 'node:process'

const host = '127.0.0.1'
const services = { Postgres: 5432, 'MySQL or MariaDB': 3306, Redis: 6379 }

for (const [name, port] of Object.entries(services)) {
  if (await isListening(port)) {
    console.log(`${name} answers at ${host}:${port}.`)
  } else {
    console.log(`${name} is MISSING: start it at ${host}:${port}.`)
    if (process.env.CI) process.exitCode = 1
  }
}

function isListening(port) {
  return new Promise((done) => {
    const socket = connect({ host, port, timeout: 5000 })
    const answer = (up) => {
      socket.destroy()
      done(up)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
    socket.once('timeout', () => answer(false))
  })
}
