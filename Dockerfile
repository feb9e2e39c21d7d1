# One image for every process; what it runs is the command given to it: serve, work, relay, …

# The hot path is compiled where there is a compiler, and runs where there is none.
FROM python:3.11 AS compiled
WORKDIR /build
COPY requirements.lock requirements-dev.lock ./
RUN pip install --no-cache-dir --no-deps -r requirements.lock -r requirements-dev.lock
COPY setup.py pyproject.toml ./
COPY services services
RUN mkdir compiled \
    && cp -R services compiled/ \
    && LOYALTY_COMPILE=1 python setup.py --quiet build_ext --build-lib compiled

FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/srv/loyalty \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /srv/loyalty

# Pinned packages change seldom and come first, so that a change of code rebuilds only what follows.
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps -r requirements.lock

COPY setup.py pyproject.toml ./
COPY migrations migrations
COPY contracts contracts
COPY --from=compiled /build/compiled ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin loyalty

USER 10001
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["loyalty"]
CMD ["--help"]
