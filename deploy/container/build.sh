#!/bin/sh
# build.sh CONTEXT TAG [build arguments]    build CONTEXT/Dockerfile with docker, podman or buildah
set -eu
context=$1 tag=$2
shift 2
if docker info > /dev/null 2>&1; then
  exec docker build --tag "$tag" "$@" "$context"
fi
# the OCI format has no HEALTHCHECK
for builder in podman buildah; do
  if command -v "$builder" > /dev/null; then
    exec "$builder" build --format docker --tag "$tag" "$@" "$context"
  fi
done
echo "build.sh needs docker, podman or buildah" >&2
exit 1
