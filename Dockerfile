# One image for every process; what it runs is the command given to it: serve, work, relay, …
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /srv/loyalty

# Pinned packages change seldom and come first, so that a change of code rebuilds only what follows.
COPY requirements.lock ./
RUN pip install --no-deps -r requirements.lock

COPY pyproject.toml ./
COPY services services
COPY migrations migrations
COPY contracts contracts
RUN pip install --no-deps --no-build-isolation --editable . \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin loyalty

USER 10001
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["loyalty"]
CMD ["--help"]
