/**
 * Whole lists, for the reference page. What the commands print is what they print over the sandbox of the demo; a test sends them.
 */
export const pagesReference = `## Whole lists

\`GET /_proxy/pages/<list path of the API>\` follows \`after\` (or \`continuation_marker\`) while the API says \`has_more\`, and streams every entity
byte for byte. The list's own parameters go on as they are. Three concern the proxy too:

| parameter | meaning |
|---|---|
| \`limit\` | how many entities a page has; without it the most that the service takes |
| \`after\` | where to begin, as the API has it: behind an entity, or a token of an earlier page |
| \`max_items\` | ends the list after so many entities |

One entity a line (\`application/x-ndjson\`):

\`\`\`
$ curl -s 'http://127.0.0.1:8080/_proxy/pages/v3/devices?max_items=3'
{"object":"device","id":"0177eb15a40000000000000100100000", …
{"object":"device","id":"0177eb15a7e800000000000100100001", …
{"object":"device","id":"0177eb15abd000000000000100100002", …
\`\`\`

Or one list, with \`Accept: application/json\`; its end says whether there is more, and behind what:

\`\`\`
$ curl -s -H 'Accept: application/json' 'http://127.0.0.1:8080/_proxy/pages/v3/devices?max_items=3'
{"object":"list","data":[{"object":"device", … ],"has_more":true,"after":"0177eb15abd000000000000100100002"}
\`\`\`

The status is sent with the first page. If a later one fails, the last line is the error, with its request id and where to go on; a list
never ends early without one:

\`\`\`
$ curl -s 'http://127.0.0.1:8080/_proxy/pages/v3/devices?limit=500' | tail -1
{"object":"error","code":500,"type":"internal_error","message":"Unexpected internal server error.","request_id":"01a21242cf1d8a25f08b2e3600000005","after":"0177eb24e258000000000001001003e7"}
\`\`\`

Each page has a record of its own: \`izuma-proxy trail list --filter parent_id=ID\`, with the \`X-Proxy-Request-ID\` of the answer. Of /v2 only
\`device-shared-keys\` is a list.
`
