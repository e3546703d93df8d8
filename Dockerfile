# The production server. Build: docker build -t protected-resource .
# To pin the base by digest: --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:…
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
# The packages first: their layer is built again only when the lockfile changes. No install script runs.
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

# Only COPYs from here on, and everything stays owned by root: the server can't write to its own code.
FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="protected-resource" \
      org.opencontainers.image.licenses="MIT"
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json openapi.yaml ./
# A container is reached through its own network interface, so the server listens on all of them. The server
# accepts that only together with PUBLIC_URL, an https origin: the declaration that TLS ends in front of it.
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000
EXPOSE 3000
USER node
STOPSIGNAL SIGTERM
# The image has no curl. Liveness only: an issuer that is down must not restart the container.
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/livez').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/server.js"]
