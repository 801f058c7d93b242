# The base is pinned by the digest of its multi-platform index; dependabot moves it. To build on another:
#   docker build --build-arg BASE=registry.example/node:24-slim@sha256:… .
ARG BASE=docker.io/library/node:24.19.0-bookworm-slim@sha256:a9f5f7c91a432850b2a8a7797adf5eadb6c733ceed61167806cee7ea7fbc29df

# The program in one folder, packages included. No package's install script runs, here or below.
FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY .config/ .config/
COPY src/ src/
RUN npm run build

# What V8 compiles at a start, which is a tenth of it. Kept by path and user, hence those of the image.
FROM build AS compiled
RUN install --directory --owner=65532 --group=65532 dist/compile-cache
USER 65532:65532
RUN HOME=/tmp node .config/compile-ahead.ts
USER 0:0
RUN chown -R 0:0 dist/compile-cache && chmod -R a+rX dist/compile-cache

# The list of what went into it. Of what is installed: beside packages for development npm leaves out what both need.
FROM ${BASE} AS contents
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && npm pkg delete devDependencies scripts \
 && npm sbom --sbom-format cyclonedx >sbom.cdx.json \
 && rm -r package-lock.json node_modules

FROM ${BASE}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="izuma-proxy" \
      org.opencontainers.image.description="A local authenticating reverse proxy for the Izuma Device Management REST APIs" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Package managers are of no use to the proxy, and of some to an intruder.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-* \
 && mkdir -p /var/lib/izuma-proxy \
 && chown 65532:65532 /var/lib/izuma-proxy \
 && chmod 700 /var/lib/izuma-proxy
WORKDIR /app
COPY --from=contents /app/ ./
COPY --from=compiled /app/dist/ dist/
COPY LICENSE ./
# The root file system can be read-only: only the trail and /tmp are written to. The health listener is for HEALTHCHECK, inside.
ENV NODE_ENV=production \
    HOME=/tmp \
    PROXY_TRAIL=sqlite:/var/lib/izuma-proxy/trail.db \
    PROXY_HEALTH_LISTEN=127.0.0.1:8081 \
    PROXY_LOG_PRETTY=false
VOLUME ["/var/lib/izuma-proxy"]
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://${process.env.PROXY_HEALTH_LISTEN}/_proxy/readyz`).then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# SIGTERM reaches node itself, which drains; SIGUSR1 must not open a debugger on a process that holds a key.
ENTRYPOINT ["node", "--disable-sigusr1", "/app/dist/main.js"]
CMD ["start"]
