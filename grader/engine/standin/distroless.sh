# Makes the unpacked packages in $1 into the stand-in for gcr.io/distroless/python3-debian12: no shell, no package
# manager. Runs outside of $1, before mmdebstrap takes the .deb files away.
set -eu
root=$1

# What comes in as a dependency and the real image leaves out; of the rest, the control data, as the real image has it.
mkdir -p "$root/var/lib/dpkg/status.d"
for deb in "$root"/var/cache/apt/archives/*.deb; do
  package=$(dpkg-deb --field "$deb" Package)
  case $package in
    dash | debconf | dpkg | init-system-helpers | mawk | openssl | perl-base | readline-common | tar | usr-is-merged)
      dpkg-deb --fsys-tarfile "$deb" | tar --list | grep -v '/$' | while read -r file; do
        rm -f "$root/$file"
      done
      ;;
    *) dpkg-deb --field "$deb" >"$root/var/lib/dpkg/status.d/$package" ;;
  esac
done
rm -rf "$root"/var/lib/dpkg/status-old "$root"/sbin/* "$root"/usr/sbin/* "$root"/usr/lib/apt "$root"/var/cache/debconf
rm -rf "$root"/usr/share/man "$root"/usr/share/info "$root"/usr/share/locale "$root"/usr/share/lintian \
  "$root"/usr/share/bash-completion "$root"/usr/share/perl5 "$root"/usr/share/pixmaps "$root"/usr/share/applications
find "$root/usr/share/doc" -type f ! -name copyright -delete

# Of Python's names only this one is not Debian's.
ln -s python3.11 "$root/usr/bin/python"

mkdir -p "$root/etc/ssl/certs" "$root/home/nonroot" "$root/root" "$root/run" "$root/proc" "$root/sys"
find "$root/usr/share/ca-certificates" "$root/usr/local/share/ca-certificates" -name '*.crt' -exec cat {} + \
  >"$root/etc/ssl/certs/ca-certificates.crt"
cat >"$root/etc/passwd" <<'END'
root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
END
cat >"$root/etc/group" <<'END'
root:x:0:
nobody:x:65534:
tty:x:5:
staff:x:50:
nonroot:x:65532:
END
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
chown 65532:65532 "$root/home/nonroot"
chmod 0700 "$root/root" "$root/home/nonroot"
chmod 1777 "$root/tmp"
