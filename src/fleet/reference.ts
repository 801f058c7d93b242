/** A chapter of config/README.md. */
export const fleetReference = `## Several instances

Instances with the same access key and \`PROXY_REDIS_URL\` keep the team's limits together. Each reads a copy of the same team file.

| | with Redis | while it is away |
|---|---|---|
| rates, the day's budget, places of members; what \`key\` in the team file says | kept by all together: one script in Redis decides, by Redis's clock. Members without limits don't wait for it | each instance has an equal share, by the number of instances last known; there and back exceed a limit by its burst at most |
| turns at the key's limit | members of all instances are served in turn | by each instance |
| default concurrency (\`PROXY_UPSTREAM_CONNECTIONS\`) | each instance's own | the same |
| places of an instance that died | free after 4 s | |
| a revoked token | refused by all as soon as one has read the changed file, even where the copy is older: that instance says so in \`status\` | refused where the file was changed; told to the others when Redis is back |
| logins at the console | count on all, and end on all; a rotation of the access key ends them | known sessions go on |
| wrong tokens | counted together, by address | by each instance |

A token that was revoked is remembered for 30 days. One that comes back with a restored file is let in again by whoever saw it go; otherwise
take it out once more, wait for \`team file re-read\` in the log, and put it back. An instance cut off from Redis alone adds its share to what
the others go on with; what it took is debited when it is back. In Redis are names of members, counts, addresses of wrong tokens for ten
seconds, digests of revoked tokens and ids of ended sessions: nothing that lets anybody in.
`
