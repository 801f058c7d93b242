const Dispatcher = require('undici/lib/dispatcher/dispatcher.js')

// As undici's own index does, and ProxyAgent relies on: CONNECT through a forward proxy.
Dispatcher.prototype.connect = require('undici/lib/api/api-connect.js')

// What the build takes for `undici`: the parts that send requests. All of it, with fetch, WebSockets, caches and mocks, is four times
// as much to read and to keep in memory at every start.
module.exports = {
  Agent: require('undici/lib/dispatcher/agent.js'),
  Client: require('undici/lib/dispatcher/client.js'),
  Dispatcher,
  Pool: require('undici/lib/dispatcher/pool.js'),
  ProxyAgent: require('undici/lib/dispatcher/proxy-agent.js'),
  buildConnector: require('undici/lib/core/connect.js'),
  errors: require('undici/lib/core/errors.js')
}
