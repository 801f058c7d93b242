import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../../support/process.ts'

/** Everybody does the same job: verified TLS to the API, the key put on, one line of JSON a request, on one core. */
export interface Contestant {
  name: string
  version: string[]
  port: number
  /** Writes its configuration and gives the command line. */
  prepare (bench: Bench): string[]
}

export interface Bench {
  folder: string
  apiPort: number
  key: string
  /** Member token of our own product's client; the others get none and ask for none. */
  token: string
  root: string
}

/** Ten members in `team.json`; gives the token of the last. */
export async function prepareTeam (folder: string, members = 10): Promise<string> {
  let token = ''
  for (let member = 0; member < members; member++) {
    const { stdout } = await runCommand(['team', 'add', `member${member}`, '--team-file', join(folder, 'team.json'), '--allow', 'GET /v3/devices/**', '--json'], { cwd: folder })
    token = (JSON.parse(stdout) as { token: string }).token
  }
  return token
}

/** Our own command line, everything on; `changed` replaces settings by their flags. */
export function ourCommand ({ folder, apiPort, root }: Bench, port: number, changed: Record<string, string> = {}): string[] {
  const settings = {
    '--listen': `127.0.0.1:${port}`,
    '--api-host': `https://localhost:${apiPort}`,
    '--ca-file': join(folder, 'ca.pem'),
    '--access-key-file': join(folder, 'key'),
    '--team-file': join(folder, 'team.json'),
    '--trail': `sqlite:${join(folder, `trail-${port}`, 'trail.db')}`,
    '--log-pretty': 'false',
    ...changed
  }
  return ['node', join(root, 'dist/main.js'), 'start', ...Object.entries(settings).flat()]
}

const json = '\'{"id":"$request_id","method":"$request_method","path":"$uri","status":$status,"bytes":$body_bytes_sent,"time":$request_time,"upstream_id":"$upstream_http_x_request_id"}\''

export const contestants: Contestant[] = [
  {
    name: 'izuma-proxy (everything on, ten members)',
    version: ['node', '-p', 'require("./package.json").version'],
    port: 19001,
    prepare: bench => ourCommand(bench, 19001)
  },
  {
    name: 'stock @fastify/http-proxy',
    version: ['node', '-p', 'require("@fastify/http-proxy/package.json").version'],
    port: 19002,
    prepare: ({ folder, apiPort, root }) => ['node', join(root, 'test/bench/proxies/stock-fastify.ts'), '19002', String(apiPort), folder]
  },
  {
    name: 'http-proxy-middleware',
    version: ['node', '-p', 'JSON.parse(fs.readFileSync("node_modules/http-proxy-middleware/package.json", "utf8")).version'],
    port: 19003,
    prepare: ({ folder, apiPort, root }) => ['node', join(root, 'test/bench/proxies/middleware.ts'), '19003', String(apiPort), folder]
  },
  {
    name: 'nginx',
    version: ['nginx', '-v'],
    port: 19004,
    prepare ({ folder, apiPort, key }) {
      writeFileSync(join(folder, 'nginx.conf'), `
worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log ${folder}/nginx-error.log;
events { worker_connections 4096; }
http {
  log_format line escape=json ${json};
  access_log ${folder}/nginx.log line;
  client_body_temp_path ${folder}/n1; proxy_temp_path ${folder}/n2; fastcgi_temp_path ${folder}/n3; uwsgi_temp_path ${folder}/n4; scgi_temp_path ${folder}/n5;
  upstream api { server localhost:${apiPort}; keepalive 256; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:19004; keepalive_requests 1000000;
    location / {
      proxy_pass https://api; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host localhost;
      proxy_set_header Authorization "Bearer ${key}"; proxy_ssl_verify on; proxy_ssl_trusted_certificate ${folder}/ca.pem;
      proxy_ssl_name localhost; proxy_ssl_server_name on;
    }
  }
}`)
      return ['nginx', '-e', join(folder, 'nginx-error.log'), '-c', join(folder, 'nginx.conf')]
    }
  },
  {
    name: 'HAProxy',
    version: ['haproxy', '-v'],
    port: 19005,
    prepare ({ folder, apiPort, key }) {
      writeFileSync(join(folder, 'haproxy.cfg'), `
global
  nbthread 1
  log stdout format raw daemon
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  log global
  log-format '{"id":"%ID","method":"%HM","path":"%HP","status":%ST,"bytes":%B,"time":%Tt}'
frontend in
  bind 127.0.0.1:19005
  unique-id-format %[rand]
  http-request set-header Authorization "Bearer ${key}"
  default_backend api
backend api
  http-reuse always
  server api localhost:${apiPort} ssl verify required ca-file ${folder}/ca.pem sni str(localhost) verifyhost localhost
`)
      return ['haproxy', '-q', '-f', join(folder, 'haproxy.cfg')]
    }
  },
  {
    name: 'Caddy',
    version: ['caddy', 'version'],
    port: 19006,
    prepare ({ folder, apiPort, key }) {
      writeFileSync(join(folder, 'Caddyfile'), `{
  admin off
  auto_https off
}
http://127.0.0.1:19006 {
  bind 127.0.0.1
  log {
    output file ${folder}/caddy.log
    format json
  }
  reverse_proxy https://localhost:${apiPort} {
    header_up Host localhost
    header_up Authorization "Bearer ${key}"
    transport http {
      tls_trusted_ca_certs ${folder}/ca.pem
      tls_server_name localhost
      keepalive_idle_conns 256
      keepalive_idle_conns_per_host 256
    }
  }
}`)
      return ['caddy', 'run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')]
    }
  }
]
