/**
 * Requests as bytes, written by hand, with the verdict they must get: `in` reaches the route, `out` is refused with 4xx/5xx and
 * closes the connection without anything having reached it. `Host: localhost` is a served name.
 */
export interface RawCase { title: string, bytes: string, verdict: 'in' | 'out' }

const cases = (verdict: RawCase['verdict'], list: Record<string, string>): RawCase[] =>
  Object.entries(list).map(([title, bytes]) => ({ title, bytes, verdict }))

const post = (headers: string, body = '') => `POST /v3/devices HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n${body}`
const get = (headers: string) => `GET /v3/devices HTTP/1.1\r\n${headers}\r\n\r\n`

/** Two readers that disagree about where a body ends see two different next requests (RFC 9112 §11.2). */
export const framingCases: RawCase[] = [
  ...cases('in', {
    'a length': post('Content-Length: 5', 'hello'),
    'no body': post('Content-Length: 0'),
    'no framing at all': post('X: y'),
    chunked: post('Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'),
    'chunked, in capitals': post('TRANSFER-ENCODING: CHUNKED', '1\r\na\r\n0\r\n\r\n'),
    'a chunk extension': post('Transfer-Encoding: chunked', '5;a=b\r\nhello\r\n0\r\n\r\n'),
    'a quoted chunk extension': post('Transfer-Encoding: chunked', '5;a="b c"\r\nhello\r\n0\r\n\r\n'),
    'a chunk size with leading zeros, in capitals': post('Transfer-Encoding: chunked', '000A\r\n0123456789\r\n000\r\n\r\n'),
    trailers: post('Transfer-Encoding: chunked', '0\r\nX-Trailer: y\r\n\r\n'),
    'a trailer that names another Host': post('Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\nHost: evil.example\r\nAuthorization: x\r\n\r\n'),
    'a body on GET': get('Host: localhost\r\nContent-Length: 5') + 'hello',
    'a chunked body on GET': get('Host: localhost\r\nTransfer-Encoding: chunked') + '5\r\nhello\r\n0\r\n\r\n',
    'spaces and a tabulator around a length': post('Content-Length: \t 5 \t', 'hello'),
    'twins of the framing headers with an underscore': post('Content_Length: 50\r\nTransfer_Encoding: chunked\r\nContent-Length: 5', 'hello'),
    'HTTP/1.0 with a length': 'POST /v3/devices HTTP/1.0\r\nHost: localhost\r\nContent-Length: 1\r\n\r\na'
  }),
  ...cases('out', {
    'length and chunked': post('Content-Length: 5\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
    'chunked and length': post('Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'),
    'two lengths that differ': post('Content-Length: 5\r\nContent-Length: 6', 'hello'),
    'two lengths that agree': post('Content-Length: 5\r\nContent-Length: 5', 'hello'),
    'a list of lengths': post('Content-Length: 5, 5', 'hello'),
    'a length with a sign': post('Content-Length: +5', 'hello'),
    'a negative length': post('Content-Length: -1'),
    'a length of letters': post('Content-Length: five', 'hello'),
    'a length with a fraction': post('Content-Length: 5.5', 'hello'),
    'a length that ends in a control character': post('Content-Length: 5\x11', 'hello'),
    'a coding that ends in a control character': post('Transfer-Encoding: chunked\x11', '0\r\n\r\n'),
    'a control character before a coding': post('\x01Transfer-Encoding: chunked', '0\r\n\r\n'),
    'a control character before a length': post('\x01\x01Content-Length: 5', 'hello'),
    'a CR before a coding': post('X: y\r\n\rTransfer-Encoding: chunked', '0\r\n\r\n'),
    'chunked twice in one header': post('Transfer-Encoding: chunked,chunked', '0\r\n\r\n'),
    'chunked with a parameter': post('Transfer-Encoding: chunked;q=1', '0\r\n\r\n'),
    'identity before chunked': post('Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
    'identity and a length': post('Transfer-Encoding: identity\r\nContent-Length: 5', 'hello'),
    'a tabulator before the colon of a coding': post('Transfer-Encoding\t: chunked', '0\r\n\r\n'),
    'an indented length before another': post('X: y\r\n Content-Length: 5\r\nContent-Length: 6', 'hello'),
    'a hexadecimal length': post('Content-Length: 0x5', 'hello'),
    'a length with an underscore': post('Content-Length: 1_0', 'hello'),
    'a length beyond 64 bits': post('Content-Length: 99999999999999999999', 'hello'),
    'an empty length': post('Content-Length: '),
    'a length with an inner space': post('Content-Length: 1 0', 'hello'),
    'two codings': post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'),
    'two coding headers': post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
    'chunked last but one': post('Transfer-Encoding: chunked, identity', '0\r\n\r\n'),
    'an unknown coding': post('Transfer-Encoding: xchunked', '0\r\n\r\n'),
    'an empty coding': post('Transfer-Encoding: ', '0\r\n\r\n'),
    'a quoted coding': post('Transfer-Encoding: "chunked"', '0\r\n\r\n'),
    'a coding behind a vertical tab': post('Transfer-Encoding: \x0bchunked', '0\r\n\r\n'),
    'chunked in HTTP/1.0': 'POST /v3/devices HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'chunked and length in HTTP/1.0': 'POST /v3/devices HTTP/1.0\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'a space before the colon of a length': post('Content-Length : 5', 'hello'),
    'a space before the colon of a coding': post('Transfer-Encoding : chunked', '0\r\n\r\n'),
    'a folded coding': post('Transfer-Encoding:\r\n chunked', '0\r\n\r\n'),
    'a folded length': post('Content-Length: 5\r\n 0', 'hello')
  })
]

/** A header line that one reader splits and another doesn't smuggles a header, or a whole request. */
export const headerCases: RawCase[] = [
  ...cases('in', {
    'a tab inside a value': get('Host: localhost\r\nX: a\tb'),
    'bytes beyond ASCII in a value': get('Host: localhost\r\nX: caf\xe9'),
    'an empty value': get('Host: localhost\r\nX:'),
    'no space behind the colon': get('Host:localhost'),
    'every character a name may have': get('Host: localhost\r\n!#$%&\'*+-.^`|~09AZaz: x')
  }),
  ...cases('out', {
    'a line folded into the next': get('Host: localhost\r\nX: a\r\n b'),
    'a space before the first header': 'GET /v3/devices HTTP/1.1\r\n Host: localhost\r\n\r\n',
    'a NUL in a value': get('Host: localhost\r\nX: a\x00b'),
    'a bare CR in a value': get('Host: localhost\r\nX: a\rX-Evil: b'),
    'a bare LF behind a value': get('Host: localhost\r\nX: a\nX-Evil: b'),
    'bare LF everywhere': 'GET /v3/devices HTTP/1.1\nHost: localhost\n\n',
    'a control character in a value': get('Host: localhost\r\nX: a\x01b'),
    'DEL in a value': get('Host: localhost\r\nX: a\x7fb'),
    'a space in a name': get('Host: localhost\r\nX Y: a'),
    'a CR in a name': get('Host: localhost\r\nX\r: a'),
    'a LF in a name': get('Host: localhost\r\nX\n: a'),
    'a NUL at the start of a line': get('Host: localhost\r\n\x00X: a'),
    'a fold with a bare LF': get('Host: localhost\r\nX: a\n b'),
    'a NUL in a name': get('Host: localhost\r\nX\x00Y: a'),
    'a byte beyond ASCII in a name': get('Host: localhost\r\nX\xe9: a'),
    'an empty name': get('Host: localhost\r\n: a'),
    'a line without a colon': get('Host: localhost\r\nX'),
    'headers of more than 16 KiB': get(`Host: localhost\r\nX: ${'a'.repeat(16 * 1024)}`),
    'a target of more than 16 KiB': `GET /${'a'.repeat(17 * 1024)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    'a second Host behind a thousand headers': get(`Host: localhost\r\n${'a:b\r\n'.repeat(1500)}Host: evil.example`),
    'two content types': post('Content-Type: application/json\r\nContent-Type: text/plain'),
    'two Authorizations': get('Host: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b'),
    'two Origins': get('Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example')
  })
]

/** A name that points to this machine only for the browser of the victim, or two names of which each reader believes another. */
export const hostCases: RawCase[] = [
  ...cases('in', {
    localhost: get('Host: localhost'),
    'a port': get('Host: 127.0.0.1:8080'),
    'an IPv6 address': get('Host: [::1]:8080'),
    capitals: get('hOST: LocalHost')
  }),
  ...cases('out', {
    'no Host': get('X: y'),
    'no Host in HTTP/1.0': 'GET /v3/devices HTTP/1.0\r\n\r\n',
    'an empty Host': get('Host: '),
    'two Hosts': get('Host: localhost\r\nHost: evil.example'),
    'the same Host twice': get('Host: localhost\r\nHost: localhost'),
    'a list of Hosts': get('Host: localhost, evil.example'),
    'a foreign Host': get('Host: evil.example'),
    'a name that begins like ours': get('Host: localhost.evil.example'),
    'a user before the name': get('Host: localhost@evil.example'),
    'a path behind the name': get('Host: localhost/evil'),
    'a port that is none': get('Host: localhost:http'),
    'a Host behind a tabulator': get('\tHost: localhost')
  })
]

const target = (text: string) => `GET ${text} HTTP/1.1\r\nHost: localhost\r\n\r\n`

/** A target that policy and API, or this server and its router, read in two ways. */
export const targetCases: RawCase[] = [
  ...cases('in', {
    root: target('/'),
    'an unknown resource': target('/v9/brand-new/things?and=parameters'),
    'a filter in a filter': target('/v3/devices?filter=state%3Dregistered%26name__eq%3D%252Fa'),
    'an empty segment': target('/v2/subscriptions/1//3/0/1'),
    'two slashes at the start, as documented': target('//v3/trust-anchors'),
    'an encoded space': target('/a%20b'),
    'an encoded line break, which stays encoded': target('/v3/devices%0d%0aX-Evil:%20y')
  }),
  ...cases('out', {
    'absolute form': target('http://localhost/v3/devices'),
    'absolute form of a foreign host': target('http://evil.example/'),
    'an asterisk': target('*'),
    'an asterisk for OPTIONS': 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'authority form': target('localhost:443'),
    'no slash': target('v3/devices'),
    'a host behind two slashes': target('//evil.example/v3'),
    'a port behind two slashes': target('//evil:80/'),
    'three slashes': target('///v3'),
    'a fragment': target('/v3/devices#x'),
    'a fragment in the query': target('/v3/devices?a#/../b'),
    'a backslash': target('/v3\\devices'),
    'dot segments': target('/v3/devices/../api-keys'),
    'encoded dot segments': target('/v3/devices/%2e%2E/api-keys'),
    'half-encoded dot segments': target('/v3/devices/.%2e/api-keys'),
    'a dot segment with a parameter': target('/v3/devices/..;/api-keys'),
    'an overlong dot': target('/v3/%c0%ae%c0%ae/x'),
    'an encoded slash': target('/v3/devices%2f..%2fapi-keys'),
    'an encoded backslash': target('/v3%5capi-keys'),
    'a slash encoded twice': target('/v3%252fapi-keys'),
    'a NUL': target('/v3/devices%00.png'),
    'a malformed escape': target('/v3/%zz'),
    'a truncated escape': target('/v3/%4'),
    'bytes beyond ASCII': target('/v3/\xe9'),
    'a space': target('/v3/a b'),
    'a tabulator': target('/v3/a\tb'),
    'a CR': target('/v3/a\rb'),
    'a LF': target('/v3/a\nb'),
    'a NUL as it is': target('/v3/a\x00b'),
    'a control character': target('/v3/a\x01b'),
    'a whole request in the target': 'GET /v3/a\tHTTP/1.1\r\nHost: localhost\r\n\r\nGET\t/v3/b\t HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'a parameter of a segment': target('/v3/devices;a=b/1'),
    'a dot that some servers trim': target('/v3/api-keys.'),
    'an encoded space that some servers trim': target('/v3/api-keys%20'),
    'an encoded line break that some servers trim': target('/v3/api-keys%0a'),
    'an encoded semicolon': target('/v3/devices/..%3b/api-keys'),
    'a slash encoded thrice': target('/v3%25252fapi-keys'),
    'a half of an escape that another completes': target('/v3/%252%65x'),
    'one of our own paths in disguise': target('/%5fproxy/livez')
  })
]

/** A start line that isn't HTTP/1.x, or asks for something else than a resource. */
export const protocolCases: RawCase[] = [
  ...cases('in', {
    'HTTP/1.0': 'GET /v3/devices HTTP/1.0\r\nHost: localhost\r\n\r\n',
    'an offer of h2c': get('Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__'),
    'an offer of h2c without Connection': get('Host: localhost\r\nUpgrade: h2c'),
    'an offer of another protocol': get('Host: localhost\r\nConnection: upgrade\r\nUpgrade: TLS/1.0'),
    'an offer of two protocols': get('Host: localhost\r\nConnection: upgrade\r\nUpgrade: h2c, websocket'),
    'empty lines before the request': '\r\n\r\n' + get('Host: localhost')
  }),
  ...cases('out', {
    'HTTP/2.0': 'GET /v3/devices HTTP/2.0\r\nHost: localhost\r\n\r\n',
    'HTTP/0.9': 'GET /v3/devices HTTP/0.9\r\nHost: localhost\r\n\r\n',
    'HTTP/1.2': 'GET /v3/devices HTTP/1.2\r\nHost: localhost\r\n\r\n',
    'HTTP/11.1': 'GET /v3/devices HTTP/11.1\r\nHost: localhost\r\n\r\n',
    'http in small letters': 'GET /v3/devices http/1.1\r\nHost: localhost\r\n\r\n',
    'no version': 'GET /v3/devices\r\nHost: localhost\r\n\r\n',
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a greeting of TLS': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
    TRACE: 'TRACE /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n',
    CONNECT: 'CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n',
    'a method nobody knows': 'PURGE /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'a method in small letters': 'get /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'line feeds for spaces': 'GET\n/v3/devices\nHTTP/1.1\r\nHost: localhost\r\n\r\n',
    'a space behind the version': 'GET /v3/devices HTTP/1.1 \r\nHost: localhost\r\n\r\n',
    'a version twice': 'GET /v3/devices HTTP/1.1 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'a greeting of the PROXY protocol': 'PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'a greeting of the PROXY protocol, version 2': '\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x0c\xc0\xa8\x00\x01\xc0\xa8\x00\x02\x01\xbb\x01\xbbGET /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'a method with a hyphen': '-GET /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'a method with a NUL': 'GET\x00 /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'a method with a control character': 'GE\x01T /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n'
  })
]

export const allCases: RawCase[] = [...framingCases, ...headerCases, ...hostCases, ...targetCases, ...protocolCases]
