# Trinity Bridge: a static binary in an empty image. Nothing is writable but /data, and /watermark where a volume is
# mounted there.
#
#   docker build -t trinity-bridge .
#   docker run -e TRINITY_BRIDGE_PUBLIC_URL=https://connect.example.com … trinity-bridge
#
# docs/deploy.md says how to run it beside Trinity.

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/trinity-bridge ./cmd/trinity-bridge \
 && mkdir -m 0700 /out/data /out/watermark

FROM scratch
LABEL org.opencontainers.image.title="Trinity Bridge" \
      org.opencontainers.image.description="Add your own Trinity to Claude and other MCP clients as a remote connector" \
      org.opencontainers.image.licenses="Apache-2.0"
# For a Trinity that is reached over https.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/trinity-bridge /trinity-bridge
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/watermark /watermark

# A number, so that an orchestrator can see that it is not root.
USER 65532:65532
ENV TRINITY_BRIDGE_DATA=/data \
    TRINITY_BRIDGE_LISTEN=:8420
VOLUME /data
EXPOSE 8420
ENTRYPOINT ["/trinity-bridge"]
CMD ["serve"]
