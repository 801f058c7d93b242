import { test } from 'tap'
import { Lag } from '../../src/trail/lag.ts'

const at = (segment: number, bytes: number) => ({ segment, bytes })

test('the lag is the time of what waits longest, and none when all is stored', t => {
  const lag = new Lag()
  t.equal(lag.ms(0), 0)
  lag.noteWritten(at(1, 100), 1000)
  lag.noteWritten(at(1, 200), 2000)
  t.equal(lag.ms(3000), 2000)
  lag.noteStored(at(1, 50), 3000)
  t.equal(lag.ms(3000), 2000, 'the oldest still waits')
  lag.noteStored(at(1, 200), 3000)
  t.equal(lag.ms(9000), 0)
  lag.noteWritten(at(2, 1), 9000)
  lag.noteAllStored()
  t.equal(lag.ms(10_000), 0)
  t.end()
})

test('steady load that is stored as it comes is no growing lag', t => {
  const lag = new Lag()
  for (let n = 1; n <= 1000; n++) {
    lag.noteWritten(at(1 + Math.floor(n / 100), n), n * 75)
    lag.noteStored(at(1 + Math.floor((n - 1) / 100), n - 1), n * 75 + 10)
    t.ok(lag.ms(n * 75 + 20) <= 150)
  }
  t.end()
})
