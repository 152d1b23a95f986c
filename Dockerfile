# The platform's image (target runtime, the one of docker-compose.yml) and the dev container's (target dev).

# git and make come with the full image; PostgreSQL and Chromium are for the integration and browser tests.
FROM python:3.11.14-bookworm AS dev
RUN apt-get update \
    && apt-get install -y --no-install-recommends chromium postgresql \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --create-home --shell /bin/bash developer
USER developer


FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.lock /tmp/requirements.lock
# wheels only: every package of the lock has one for amd64 and for arm64, and building one would run its code here
RUN pip install --no-deps --only-binary=:all: --require-hashes -r /tmp/requirements.lock

WORKDIR /app
COPY . .
# The package finds dbt_project/ and expectations/ beside itself, so it is put on the path where it lies. An editable
# install would need a build backend, which the runtime lock does not hold.
RUN echo /app > "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/voiceai_assets.pth" \
    && printf '%s\n' '#!/opt/venv/bin/python' 'from voiceai_assets.cli import main' 'main()' > /opt/venv/bin/voiceai \
    && chmod 755 /opt/venv/bin/voiceai \
    && python -m compileall -q voiceai_assets
# A new volume starts with what the image holds at its mount point: the manifest, and folders that belong to the user.
RUN mkdir -p /data/dagster /data/landing /data/models /data/reports \
    && VOICEAI_HOME=/data python -c "from voiceai_assets.assets.dbt import prepare_manifest; \
from voiceai_assets.settings import load_settings; prepare_manifest(load_settings())"


FROM python:3.11.14-slim-bookworm AS runtime
RUN groupadd --gid 10001 voiceai \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin voiceai
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY --from=build --chown=10001:10001 /data /data
# an image holds no checkout: certificates name the revision that its build was told
ARG VOICEAI_CODE_REVISION=
ENV VOICEAI_CODE_REVISION=$VOICEAI_CODE_REVISION
ENV PATH=/opt/venv/bin:$PATH VOICEAI_HOME=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 10001:10001
CMD ["voiceai", "--help"]
