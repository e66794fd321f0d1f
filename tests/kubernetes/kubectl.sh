#!/bin/sh
# kubectl.sh FOLDER    put the kubectl of Debian 13 into FOLDER, since that of Debian 12 does not support components
set -eu
folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian/?$' | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > "$work/sources.list"
mkdir -p "$work/lists/partial"
from_trixie() {
  apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache="$work" -o APT::Sandbox::User=root "$@"
}
from_trixie update
(cd "$work" && from_trixie download kubectl/trixie && dpkg -x kubectl_*.deb .)
install "$work/usr/bin/kubectl" "$folder/kubectl"
