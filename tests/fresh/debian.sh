#!/bin/bash
# debian.sh SUITE [PYTHON]    follow the README on a fresh Debian without a compiler: make run, one request, make test
#
# SUITE: a Debian suite, sid for instance. PYTHON: a Python package of that suite; python3 by default.
# Needs root and debootstrap. The system is made once, in the folder SOFTMAX_FRESH or the user's cache.
set -euo pipefail
suite=$1 python=${2:-python3} port=${SOFTMAX_PORT:-8765}
project=$(cd "$(dirname "$0")/../.." && pwd)
cache=${SOFTMAX_FRESH:-${XDG_CACHE_HOME:-$HOME/.cache}/softmax-fresh}
root=$cache/$suite-$python
# the Debian archive that apt uses here
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian/?$' | head -n 1)}

if [ ! -e "$root.made" ]; then
  echo "making Debian $suite with $python ..."
  rm -rf --one-file-system "$root"
  mkdir -p "$root"
  debootstrap --variant=minbase --include="ca-certificates,netbase,tzdata,make,curl,nodejs,$python,$python-venv" \
    "$suite" "$root" "$mirror" > "$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$root/usr/local/share/ca-certificates/" ';' 2> /dev/null || true
  chroot "$root" update-ca-certificates > /dev/null 2>&1
  touch "$root.made"
fi

# the files of the project, without what was installed beside them
rm -rf --one-file-system "$root/srv/project"
mkdir -p "$root/srv/project"
(cd "$project" && git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read --files-from=- --create) |
  tar --extract --directory "$root/srv/project"
cp /etc/resolv.conf "$root/etc/resolv.conf"

# processes in a separate namespace end with the script
unshare --mount --pid --fork --kill-child /bin/bash -euo pipefail -s "$root" "$python" "$port" <<'OUTSIDE'
root=$1 python=$2 port=$3
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
exec chroot "$root" env -i HOME=/srv PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
  PYTHON="$python" SOFTMAX_PORT="$port" /bin/bash -euo pipefail -s <<'INSIDE'
cd /srv/project
for compiler in cc gcc clang; do ! command -v "$compiler"; done
"$PYTHON" --version
make run PYTHON="$PYTHON" > /tmp/run.log 2>&1 &
for _ in $(seq 600); do
  curl --silent --fail "http://127.0.0.1:$SOFTMAX_PORT/readyz" > /dev/null && break
  kill -0 $! 2> /dev/null || { cat /tmp/run.log; exit 1; }
  sleep 0.5
done
answer=$(curl --silent --fail "http://127.0.0.1:$SOFTMAX_PORT/softmax" -H 'Content-Type: application/json' -d '{"logits": [2, 3, 4]}')
echo "$answer"
case $answer in *'"predictions":2'*) ;; *) cat /tmp/run.log; exit 1 ;; esac
kill %1
wait %1 || true
# the tests set the variables of the service themselves
env --unset SOFTMAX_PORT make test PYTHON="$PYTHON"
INSIDE
OUTSIDE
