import { readFileSync } from 'node:fs'
import { parse } from 'dotenv'
import t from 'tap'
import { loadSettings } from '../../src/config/load.ts'

const text = readFileSync('config/example.env', 'utf8')

t.test('the example is taken as it stands', async t => {
  t.match(loadSettings({ flags: {}, environment: {}, dotenv: parse(text) }), { region: 'us-east-1', accessKeyFile: 'access-key' })
})

t.test('each line that is commented out is a setting too', async t => {
  const commented = [...text.matchAll(/^#([A-Z_]+=.*)$/gm)].map(([, line = '']) => line)
  t.ok(commented.length >= 4)
  for (const line of commented) {
    const alone = line.startsWith('IZUMA_ACCESS_KEY_COMMAND') ? line : `IZUMA_ACCESS_KEY_FILE=access-key\n${line}`
    t.doesNotThrow(() => loadSettings({ flags: {}, environment: {}, dotenv: parse(alone) }), line)
  }
})
