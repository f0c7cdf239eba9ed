#!/bin/sh
# Makes a checkout ready to run: packages and the exact Node.js from npm. `--with-web` also builds the dashboard;
# `--with-rings` also installs the programs of the operating system that the interop tests need, where that is allowed (Debian or
# Ubuntu, as root). Does nothing, in a fraction of a second, when all is there.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "setup: $*" >&2; }
fail() {
  say "$1"
  shift
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
}

. scripts/setup-packages.sh
install_packages

for option in "$@"; do
  case "$option" in
    --with-web)
      . scripts/setup-web.sh
      build_web
      ;;
    --with-rings)
      . scripts/setup-rings.sh
      install_rings
      ;;
    *) fail "unknown option $option" 'usage: sh scripts/setup.sh [--with-web] [--with-rings]' ;;
  esac
done
