// What the build takes for `semver`: what Fastify asks it, which is whether a plugin fits.
module.exports = {
  coerce: require('semver/functions/coerce'),
  gt: require('semver/functions/gt'),
  satisfies: require('semver/functions/satisfies')
}
