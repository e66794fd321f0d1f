# syntax=docker/dockerfile:1
FROM python:3.13.15-slim-trixie@sha256:7e3a6aca9d74f93cca21a91d86a8dad8c34749afd5b4a98ee481c9c47b9f5ed4 AS base

FROM base AS build
# run, or tracing for an image with the OpenTelemetry exporter
ARG REQUIREMENTS=run
WORKDIR /build
# no version: Debian keeps only the newest binutils, and none of it is in the image
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
COPY requirements/${REQUIREMENTS}.txt requirements/fast.txt requirements/
RUN python -m venv --without-pip /opt/softmax && \
    python -m pip --python /opt/softmax/bin/python install --no-cache-dir --no-compile --only-binary :all: \
        --require-hashes -r requirements/${REQUIREMENTS}.txt -r requirements/fast.txt
# remove the tests, headers, sources and type stubs of libraries, and the debug symbols of two that ship them
WORKDIR /opt/softmax/lib/python3.13/site-packages
RUN find . -type d -name tests -prune -exec rm -r {} + && \
    find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.[cha]' -o -name '*.cpp' \) -delete && \
    strip --strip-unneeded uvloop/*.so csimdjson*.so && \
    python -m compileall -q .

FROM base
# One BLAS thread for one core.
ENV PATH=/opt/softmax/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    SOFTMAX_HOST=0.0.0.0
# nothing in the running image installs packages
RUN rm -rf /usr/bin/pip* /usr/local/bin/pip* /usr/local/lib/python3.13/site-packages/pip* /usr/local/lib/python3.13/ensurepip
WORKDIR /opt/softmax/app
COPY --from=build /opt/softmax /opt/softmax
COPY deploy/container/healthcheck.py /opt/softmax/
COPY service/ service/
RUN ["python", "-m", "compileall", "-q", "service"]
USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "/opt/softmax/healthcheck.py"]
CMD ["python", "-m", "service"]
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="softmax-service" \
      org.opencontainers.image.description="Softmax, cross-entropy loss and its analytic gradient over HTTP" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
