# The stand-in for python:3.11: the slim one with a compiler and the headers that packages are mostly built against.
ARG PARENT
FROM ${PARENT}
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update -qq; \
    apt-get install -qq -y --no-install-recommends autoconf automake build-essential bzip2 curl file git gnupg \
      libbz2-dev libcurl4-openssl-dev libevent-dev libffi-dev libgmp-dev libjpeg-dev liblzma-dev libncurses-dev \
      libpng-dev libpq-dev libreadline-dev libsqlite3-dev libssl-dev libtool libwebp-dev libxml2-dev libxslt1-dev \
      libyaml-dev openssh-client patch pkg-config procps unzip uuid-dev wget xz-utils zlib1g-dev; \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log
