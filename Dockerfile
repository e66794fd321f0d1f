# syntax=docker/dockerfile:1
FROM python:3.13-slim-trixie AS build
WORKDIR /build
COPY requirements/run.txt requirements/
RUN python -m venv /opt/softmax && \
    /opt/softmax/bin/pip install --no-cache-dir --no-compile --only-binary :all: --require-hashes -r requirements/run.txt
COPY service/ /opt/softmax/app/service/
# what runs needs no installer
RUN /opt/softmax/bin/python -m compileall -q /opt/softmax/app && \
    /opt/softmax/bin/pip uninstall --yes --quiet pip

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="softmax-service" \
      org.opencontainers.image.description="Softmax, cross-entropy loss and its analytic gradient over HTTP" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/softmax/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    SOFTMAX_HOST=0.0.0.0
WORKDIR /opt/softmax/app
COPY --from=build /opt/softmax /opt/softmax
USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('SOFTMAX_PORT', '8000') + '/livez', timeout=2)"]
CMD ["python", "-m", "service"]
