import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeAuthority } from '../../support/certificates.ts'
import { waitFor } from '../../support/wait-for.ts'
import type { Bench, Contestant } from './contestants.ts'

/** The proxy alone on the first core; the API and the load on the second. */
export const proxyCore = '0'
export const otherCore = '1'

const echoModule = '/usr/lib/nginx/modules/ngx_http_echo_module.so'

export interface Running { child: ChildProcess, pid: number, stop (): Promise<void> }

/** A process of its own on one core; what it prints goes to `<name>.out` in the folder. */
export function start (command: string[], core: string, folder: string, name: string): Running {
  const out = openSync(join(folder, `${name}.out`), 'w')
  const child = spawn('taskset', ['-c', core, ...command], { stdio: ['ignore', out, out] })
  const ended = once(child, 'close')
  return {
    child,
    pid: child.pid as number,
    async stop () {
      child.kill('SIGTERM')
      const killer = setTimeout(() => child.kill('SIGKILL'), 12_000)
      await ended
      clearTimeout(killer)
    }
  }
}

/**
 * nginx as the API: TLS, about 1 KB of JSON, an X-Request-ID that begins with the time as the API's do. /v3/devices/far answers 80 ms
 * later (Debian: libnginx-mod-http-echo). Below /v3/devices/big/ are its files; uploads there go to whoever takes them at the port after its own.
 */
export async function startApi (folder: string, port: number): Promise<Running> {
  const authority = makeAuthority()
  const { cert, key } = authority.issue()
  writeFileSync(join(folder, 'ca.pem'), authority.ca)
  writeFileSync(join(folder, 'api.crt'), cert)
  writeFileSync(join(folder, 'api.key'), key, { mode: 0o600 })
  const body = JSON.stringify({ object: 'list', limit: 50, has_more: false, data: Array.from({ length: 5 }, (_, index) => ({ id: index.toString(16).padStart(32, '0'), object: 'device', state: 'registered', name: `device ${index}`, note: 'x'.repeat(80) })) })
  writeFileSync(join(folder, 'api.conf'), `
${existsSync(echoModule) ? `load_module ${echoModule};` : ''}
user root; worker_processes 1; daemon off; pid ${folder}/api.pid; error_log ${folder}/api-error.log;
events { worker_connections 4096; }
http {
  map $msec $time { "~^(?<s>\\d+)\\.(?<ms>\\d+)$" $s$ms; }
  map $request_id $rest { "~^(?<r>.{19})" $r; }
  access_log off; client_body_temp_path ${folder}/a1; proxy_temp_path ${folder}/a2; fastcgi_temp_path ${folder}/a3; uwsgi_temp_path ${folder}/a4; scgi_temp_path ${folder}/a5;
  server {
    listen 127.0.0.1:${port} ssl; listen [::1]:${port} ssl; ssl_certificate ${folder}/api.crt; ssl_certificate_key ${folder}/api.key;
    keepalive_requests 10000000; keepalive_timeout 600s; client_max_body_size 0; proxy_request_buffering off; proxy_http_version 1.1;
    location /v3/devices/big/ { alias ${folder}/; if ($request_method = POST) { proxy_pass http://127.0.0.1:${port + 1}; } }
    ${existsSync(echoModule) ? 'location = /v3/devices/far { echo_sleep 0.08; echo_exec /; }' : ''}
    location / { default_type application/json; add_header X-Request-ID $time$rest; return 200 '${body}'; }
  }
}`)
  return start(['nginx', '-e', join(folder, 'api-error.log'), '-c', join(folder, 'api.conf')], otherCore, folder, 'api')
}

export async function startContestant (contestant: Contestant, bench: Bench): Promise<Running> {
  const running = start(contestant.prepare(bench), proxyCore, bench.folder, `proxy-${contestant.port}`)
  await waitFor(contestant.name, () => measureLoad(contestant, bench.token, 1, 1).requests, requests => requests > 0, 20_000)
  if (running.child.exitCode !== null) throw new Error(`${contestant.name} ended: ${readFileSync(join(bench.folder, `proxy-${contestant.port}.out`), 'utf8').slice(-500)}`)
  return running
}

export interface Load { requests: number, seconds: number, failed: number, p50Ms: number, p99Ms: number }

/** wrk, in the foreground. */
export function measureLoad ({ port }: Pick<Contestant, 'port'>, token: string, connections: number, seconds: number): Load {
  const words = ['-c', otherCore, 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-H', `Authorization: Bearer ${token}`, `http://127.0.0.1:${port}/v3/devices?limit=5`]
  const text = spawnSync('taskset', words, { encoding: 'utf8' }).stdout
  const read = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0)
  return {
    requests: read(/(\d+) requests in/),
    seconds: read(/requests in ([0-9.]+)s/) || seconds,
    failed: read(/Non-2xx or 3xx responses: (\d+)/) + read(/Socket errors: connect (\d+)/),
    p50Ms: readMs(text, '50'),
    p99Ms: readMs(text, '99')
  }
}

function readMs (text: string, percentile: string): number {
  const [, number, unit] = new RegExp(`${percentile}%\\s+([0-9.]+)(us|ms|s)`).exec(text) ?? []
  return Number(number) * ({ us: 0.001, ms: 1, s: 1000 }[unit ?? ''] ?? Number.NaN)
}

/** Milliseconds of CPU that a process and its children have used. Clock ticks are 10 ms. */
export function cpuMs (pid: number): number {
  const children = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' }).stdout.trim().split(/\s+/).filter(text => text !== '')
  return [String(pid), ...children].map(readTicks).reduce((sum, ticks) => sum + ticks * 10, 0)
}

function readTicks (pid: string): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return Number(fields[11]) + Number(fields[12])
  } catch {
    return 0
  }
}

export function residentMb (pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024)
}
