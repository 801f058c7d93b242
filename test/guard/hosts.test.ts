import t from 'tap'
import { createHostJudge } from '../../src/guard/hosts.ts'

const loopback = ['localhost', '127.0.0.1', '[::1]']

t.test('serves a listed name with any port, in any case, with a trailing dot', async t => {
  const serves = createHostJudge(loopback)
  for (const host of ['localhost', 'localhost:8080', 'LOCALHOST:1', 'localhost.', 'localhost.:8080', '127.0.0.1', '127.0.0.1:65535', '[::1]', '[::1]:8080']) {
    t.ok(serves(host), host)
    t.ok(serves(host), `${host}, once more`)
  }
})

t.test('refuses every other name, also one that only looks like a listed one', async t => {
  const serves = createHostJudge(loopback)
  for (const host of [
    'evil.example', 'localhost.evil.example', 'evil.localhost', 'xlocalhost', 'localhostx', '127.0.0.1.nip.io', '127.0.0.2', '127.1', '0.0.0.0', '2130706433',
    '::1', '[::2]', '[::1', '[::1].evil.example', '[::ffff:127.0.0.1]', 'localhost:', 'localhost:8080:80', 'localhost:80a', 'localhost:65536', 'localhost:-1',
    'localhost..', 'user@localhost', 'localhost@evil.example', 'localhost/', 'localhost/evil', 'localhost#', 'localhost?', 'localhost\\evil', 'localhost, evil.example',
    ' localhost', 'localhost ', 'local host', 'locаlhost', '', '.', ':80', '%6cocalhost'
  ]) t.notOk(serves(host), JSON.stringify(host))
})

t.test('serves only the port that is listed with a name', async t => {
  const serves = createHostJudge(['proxy.lan:8443', 'proxy.lan:9443', 'Team.LAN'])
  for (const host of ['proxy.lan:8443', 'PROXY.lan.:9443', 'team.lan', 'team.lan:1']) t.ok(serves(host), host)
  for (const host of ['proxy.lan', 'proxy.lan:80', 'proxy.lan:08443']) t.notOk(serves(host), host)
})

t.test('an answer for one host says nothing of the next', async t => {
  const serves = createHostJudge(['a', 'b'])
  t.same(['a', 'evil', 'a', 'b', 'evil'].map(serves), [true, false, true, true, false])
})

t.test('a unix socket serves any well-formed Host', async t => {
  const serves = createHostJudge('any')
  for (const host of ['localhost', 'anything.example:1', '[::2]']) t.ok(serves(host), host)
  for (const host of ['', 'a b', 'a/b', 'user@a']) t.notOk(serves(host), JSON.stringify(host))
})

t.test('a listed name that is none is refused at start', async t => {
  for (const name of ['http://localhost', '*', '*.lan', 'a b', 'a:99999']) t.throws(() => createHostJudge([name]), /PROXY_ALLOWED_HOSTS/, name)
})
