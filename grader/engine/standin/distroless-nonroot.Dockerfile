# The stand-in for gcr.io/distroless/python3-debian12:nonroot: the same files, another user.
ARG PARENT
FROM ${PARENT}
USER 65532
WORKDIR /home/nonroot
