# Two stages: a builder with Rust, and an image with the binary alone. Runs as a user without rights,
# with a read-only root: only the two volumes are written.
#
#   docker build -t urbanmine .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -v ledger:/var/lib/urbanmine -v guard:/var/lib/urbanmine-guard \
#     -v /etc/urbanmine:/etc/urbanmine:ro -p 127.0.0.1:7878:7878 urbanmine
#
# What it listens on beyond the container's loopback needs TLS: docs/OPERATIONS.md.

FROM rust:1-slim-bookworm AS builder
WORKDIR /src
# The manifest first, so that dependencies are built once.
COPY Cargo.toml Cargo.lock build.rs ./
COPY proto proto
COPY tables tables
COPY samples samples
COPY src src
RUN cargo build --release --locked --bin urbanmine

FROM debian:bookworm-slim
RUN groupadd --system --gid 10001 urbanmine \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin urbanmine \
    && install -d -o urbanmine -g urbanmine -m 0700 /var/lib/urbanmine /var/lib/urbanmine-guard
COPY --from=builder /src/target/release/urbanmine /usr/local/bin/urbanmine
COPY LICENSE /usr/share/doc/urbanmine/LICENSE
ENV URBANMINE_LEDGER_DATA=/var/lib/urbanmine/ledger \
    URBANMINE_LEDGER_GUARD=/var/lib/urbanmine-guard/head \
    URBANMINE_LOG_FORMAT=json \
    URBANMINE_LOG_LEVEL=info
USER 10001:10001
VOLUME ["/var/lib/urbanmine", "/var/lib/urbanmine-guard"]
EXPOSE 7878
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/urbanmine"]
CMD ["serve", "--config", "/etc/urbanmine/urbanmine.toml"]
