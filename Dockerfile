# `gristmill serve` in a container: docker build -t gristmill . && docker run -p 8000:8000 -v "$PWD/tests/models:/models:ro" gristmill
# Without a GPU's driver in it, Mesa's lavapipe computes on the CPU. For an NVIDIA card, run it with --gpus all and the `graphics` capability.
FROM rust:1-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --package gristmill-cli

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends mesa-vulkan-drivers libvulkan1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home gristmill
COPY --from=build /build/target/release/gristmill /usr/local/bin/gristmill
USER gristmill
# Measurements and compiled kernels are kept here: a volume makes later starts quick.
VOLUME /home/gristmill/.cache
EXPOSE 8000 8001
# The server drains on SIGTERM, which is what `docker stop` sends.
ENTRYPOINT ["gristmill", "serve"]
CMD ["/models", "--http", "0.0.0.0:8000", "--grpc", "0.0.0.0:8001"]
