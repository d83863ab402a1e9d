// Says which of the databases that the tests want are running. With CI=true a missing one is a failure;
// elsewhere the tests that want it are skipped.

import { connect } from 'node:net'
import process from 'node:process'

const services = [
  { name: 'Postgres', variable: 'POSTGRES_URL', port: 5432 },
  { name: 'MySQL or MariaDB', variable: 'MYSQL_URL', port: 3306 },
  { name: 'Redis', variable: 'REDIS_URL', port: 6379 },
]

const answers = await Promise.all(
  services.map(async ({ name, variable, port }) => {
    const url = process.env[variable] ? new URL(process.env[variable]) : undefined
    const host = url?.hostname || '127.0.0.1'
    const at = Number(url?.port || port)
    const up = await isListening(host, at)
    console.log(`${up ? 'up     ' : 'MISSING'} ${name} at ${host}:${at}`)
    if (!up) console.log(`        Start it there, or say in ${variable} where it is.`)
    return up
  }),
)
if (answers.includes(false) && process.env.CI === 'true') process.exitCode = 1

function isListening(host, port) {
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
