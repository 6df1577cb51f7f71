# The image of a server: `docker build -t soketpy .`. docs/operations.md, "Containers", says how to run it.
#
# The base needs python3 (3.11 or later) with its module venv; Debian's own Python has that in python3-venv.
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build

# The environment has no pip, and only files that need no compiler. Bytecode is compiled here, because the server cannot
# write into its own folder.
RUN python3 -m venv /tmp/tools && python3 -m venv --without-pip /opt/soketpy
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY soketpy ./soketpy
# Where a registry of packages needs settings of its own, give them as secrets: the image and its layers lack them.
#   docker build --secret id=pip,src=$HOME/.config/pip/pip.conf --secret id=ca,src=ca.pem .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/run/registry.pem \
    if test -e /run/registry.pem; then export PIP_CERT=/run/registry.pem; fi; \
    export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=/src/constraints.txt \
    && /tmp/tools/bin/pip wheel --no-deps --wheel-dir /tmp/wheel . \
    && /tmp/tools/bin/pip --python /opt/soketpy/bin/python install --only-binary :all: --compile \
        "$(echo /tmp/wheel/*.whl)[all]"

FROM ${BASE}

LABEL org.opencontainers.image.title="soketpy" \
      org.opencontainers.image.description="A self-hosted realtime server that speaks the Pusher Channels protocol" \
      org.opencontainers.image.licenses="MIT"

# The numeric user lets Kubernetes verify that it is not root. /data is the only folder that the server writes to.
RUN echo 'soketpy:x:10001:10001::/data:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'soketpy:x:10001:' >> /etc/group \
    && mkdir /data && chown 10001:10001 /data
COPY --from=build /opt/soketpy /opt/soketpy

ENV PATH="/opt/soketpy/bin:$PATH" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 6001 9601
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["soketpy", "healthcheck"]
ENTRYPOINT ["soketpy"]
CMD ["start"]
