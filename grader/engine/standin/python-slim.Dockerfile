# The stand-in for python:3.11-slim: Debian's Python 3.11, moved to where the real image keeps its own. The packages are
# unpacked, not installed, so that apt knows nothing of this Python, as in the real image. Debian's interpreter looks in
# dist-packages (its frozen site.py cannot be told otherwise), learners' COPY lines name site-packages: they are one folder.
# Only in a virtual environment do Debian's sysconfig and distutils use the scheme that the real image has everywhere.
ARG PARENT
FROM ${PARENT}
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHON_VERSION=3.11.2
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update -qq; \
    apt-get install -qq -y --no-install-recommends ca-certificates media-types netbase tzdata libbz2-1.0 libcrypt1 \
      libdb5.3 libexpat1 libffi8 liblzma5 libncursesw6 libnsl2 libreadline8 libsqlite3-0 libssl3 libtinfo6 libtirpc3 \
      libuuid1 zlib1g; \
    mkdir /tmp/debs /tmp/python; \
    cd /tmp/debs; \
    apt-get download -qq python3.11 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libpython3.11-dev \
      python3.11-venv python3-distutils python3-lib2to3 python3-pip-whl python3-setuptools-whl python3-wheel-whl; \
    for deb in *.deb; do dpkg-deb --extract "$deb" /tmp/python; done; \
    cd /tmp/python/usr; \
    mv include/*-linux-gnu*/python3.11/pyconfig.h include/python3.11/pyconfig.h; \
    mkdir -p /usr/local/include /usr/share/python-wheels; \
    mv lib/python3.11 /usr/local/lib/; \
    mv include/python3.11 /usr/local/include/; \
    mv bin/python3.11 /usr/local/bin/; \
    mv share/python-wheels/*.whl /usr/share/python-wheels/; \
    cd /usr/local/bin; \
    ln -s python3.11 python3; \
    ln -s python3 python; \
    cd /usr/local/lib/python3.11; \
    rm -f EXTERNALLY-MANAGED sitecustomize.py config-3.11-*/*.a; \
    rm -rf test config-3.11-*/*.o; \
    sed -i -e 's|/usr/include/python3.11|/usr/local/include/python3.11|g' \
      -e 's|/usr/lib/python3.11|/usr/local/lib/python3.11|g' -e 's|[a-z0-9_]*-linux-gnu[a-z]*-g|g|g' \
      _sysconfigdata__*-linux-gnu*.py; \
    sed -i 's/sys.base_prefix != sys.prefix or hasattr(sys, "real_prefix")/True/' \
      sysconfig.py distutils/sysconfig.py _distutils_system_mod.py; \
    mkdir site-packages; \
    ln -s site-packages dist-packages; \
    cd /usr/share/python-wheels; \
    python3 "$(echo pip-*.whl)/pip" install --quiet --root-user-action ignore --no-cache-dir --no-index \
      --find-links . --no-compile pip setuptools wheel; \
    python3 -m compileall -q /usr/local/lib/python3.11; \
    test "$(python3 -c 'import platform; print(platform.python_version())')" = "$PYTHON_VERSION"; \
    cd /; \
    rm -rf /tmp/debs /tmp/python /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log
CMD ["python3"]
