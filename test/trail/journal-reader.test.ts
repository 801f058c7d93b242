import fs from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { JournalReader } from '../../src/trail/journal-reader.ts'
import { segmentPath } from '../../src/trail/segments.ts'

/** Lines of every length around the 64 KiB after which a stretch is cut, with characters of two and four bytes in them. */
function makeLines (): string[] {
  const texts = ['ü', 'x', '🙂', '']
  const short = Array.from({ length: 900 }, (_, index) => `${index} ${(texts[index % 4] as string).repeat(index % 700)}`)
  return [...short, 'a'.repeat(64 * 1024 - 1), 'b'.repeat(64 * 1024), '', 'c'.repeat(64 * 1024 + 1), 'ü'.repeat(100 * 1024), '', '', 'end']
}

test('a stretch is read line by line, however it is cut on the way', async t => {
  const folder = t.testdir()
  const lines = makeLines()
  const text = lines.join('\n') + '\n'
  fs.writeFileSync(segmentPath(folder, 1), text + 'torn')
  const reader = new JournalReader(folder)
  t.teardown(() => reader.close())
  const found: string[] = []
  let from = 0
  for (let stretch = reader.read(1, from); stretch.lines.length > 0; stretch = reader.read(1, from)) {
    found.push(...stretch.lines)
    from = stretch.bytes
  }
  t.strictSame(found, lines)
  t.equal(from, Buffer.byteLength(text), 'a torn last line is left for later')
  t.strictSame(reader.read(1, 0, Buffer.byteLength(lines[0] as string) + 1).lines, [lines[0]])
})

test('nothing is lost where a line ends exactly at the cut', async t => {
  for (const extra of [-2, -1, 0, 1, 2]) {
    const folder = join(t.testdir(), String(extra + 2))
    fs.mkdirSync(folder)
    const lines = ['x'.repeat(64 * 1024 + extra), 'y', 'z'.repeat(64 * 1024 + extra), '', 'end']
    fs.writeFileSync(segmentPath(folder, 1), lines.join('\n') + '\n')
    const reader = new JournalReader(folder)
    t.strictSame(reader.read(1, 0).lines, lines)
    reader.close()
  }
})
