/** A chapter of config/README.md. */
export const fleetReference = `## Several instances

Instances with the same access key and \`PROXY_REDIS_URL\` keep the team's limits together. Each reads a copy of the same team file.

| | with Redis | while it is away |
|---|---|---|
| rates, the day's budget, places of members; what \`key\` in the team file says | kept by all together: one script in Redis decides, by Redis's clock. Members without limits don't wait for it | each instance has an equal share, by the number of instances last known: of the rate, and of what was left of the burst |
| turns at the key's limit | members of all instances are served in turn | by each instance |
| default concurrency (\`PROXY_UPSTREAM_CONNECTIONS\`) | each instance's own | the same |
| places of an instance that died | free after 1.5 s | |
| a revoked token | refused by all as soon as one has read the changed file, even where the copy is older: that instance says so in \`status\` | refused where the file was changed; told to the others when Redis is back |
| logins at the console | count on all, and end on all; a rotation of the access key ends them | known sessions go on |
| wrong tokens | counted together, by address | by each instance |

A token that was revoked is remembered for 30 days. One that comes back with a restored file is let in again by whoever saw it go; otherwise
take it out once more, wait for \`team file re-read\` in the log, and put it back. In Redis are names of members, counts, addresses of wrong tokens for ten
seconds, digests of revoked tokens and ids of ended sessions: nothing that lets anybody in.

Instances with different access keys must not share a \`PROXY_REDIS_PREFIX\`: they would share limits, and hear only the channel of one key. They tell each other
a fingerprint (8 hexadecimal digits of the key's SHA-256, as in the log); where these differ, all say so in the log at once, and after three minutes in \`status\`,
where \`fleet\` is degraded: a rotation may take that long to reach everybody.

A rate is exceeded by one burst at most, whatever happens to Redis or the network. A token is in one place only: in Redis, or with an instance
on its own, which takes along its share of what was left when it last heard. Until the others must have noticed (2 s) it lets in no more than its
share of the burst, then its share of the rate, which the others keep aside for it for a minute; then they have all of it again. When
it is back, what it has left is put back, and what it took too much is owed. An instance that was killed is waited for likewise, unless
it starts again with its state folder; one that ends gracefully is not. A new process begins with one token of each rate until it has joined the others. Not kept:
an instance that is cut off alone for more than a minute adds its share from then on; so does one that starts for the first time while
Redis is away, which knows nothing of the others and takes the whole; and a burst smaller than the number of instances counts as that number.
`
