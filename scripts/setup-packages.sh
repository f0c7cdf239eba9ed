# Part of setup.sh: node_modules, with the Node.js that the `runtime` workspace pins.

stamp=node_modules/.perennial-setup
runtime=node_modules/.bin/node

# What node_modules was made from, and for which kind of machine (a checkout may be shared between two).
wanted_state() {
  uname -s -m
  cat package-lock.json
}

install_packages() {
  if [ -f "$stamp" ] && wanted_state | cmp -s - "$stamp"; then
    return 0
  fi
  command -v npm >/dev/null 2>&1 || fail 'npm was not found.' 'Install Node.js 20 or newer (it brings npm) and run the same command again.'

  say 'installing packages and the Node.js runtime from npm (once; about 15 seconds) …'
  # Scripts of packages stay off: none is needed. loglevel: npm itself may run on an older Node.js than the one that the
  # server is about to run on, and would warn about each package for which that one is too old.
  npm ci --ignore-scripts --loglevel=error --no-progress --no-update-notifier >/dev/null || fail \
    'npm could not install the packages; its own message is above.' \
    'Most often the package registry cannot be reached: check the network, a proxy (npm config get proxy) and the' \
    'registry (npm config get registry), then run the same command again: it starts afresh.'
  check_runtime
  wanted_state >"$stamp"
}

# The bundled Node.js fits Linux with glibc (x64, arm64), macOS (arm64) and Windows (x64). Elsewhere the machine's own
# does, when it is new enough: then the link that would hide it goes away.
check_runtime() {
  complaint=$("$runtime" --version 2>&1) && return 0
  # Small Debian images lack one library that Node.js needs since version 25.
  case "$complaint" in
    *libatomic.so.1*) add_libatomic && complaint=$("$runtime" --version 2>&1) && return 0 ;;
  esac
  if has_own_runtime; then
    rm -f "$runtime"
    say "no bundled Node.js runs on this machine; using its own, $(node --version)."
    return 0
  fi
  fail "the bundled Node.js does not run on this machine ($(uname -s) $(uname -m)):" "$complaint" \
    'If a library is missing, install it (libatomic.so.1 is in libatomic1 on Debian and Ubuntu, in libatomic elsewhere).' \
    'Otherwise install Node.js 26 (24.18 at least) so that `node --version` shows it. Then run the same command again.'
}

has_own_runtime() {
  (
    PATH=$(printf '%s' "$PATH" | tr ':' '\n' | grep -v 'node_modules/\.bin$' | tr '\n' ':')
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 24 || (a === 24 && b >= 18) ? 0 : 1)'
  ) 2>/dev/null
}

# As root by installing the package; otherwise by unpacking it beside the runtime and telling the runtime where it is.
add_libatomic() {
  command -v apt-get >/dev/null 2>&1 || return 1
  if [ "$(id -u)" = 0 ]; then
    say 'installing libatomic1, which Node.js needs …'
    { apt-get -qq -y install --no-install-recommends libatomic1 || {
      apt-get -qq update
      apt-get -qq -y install --no-install-recommends libatomic1
    }; } >/dev/null 2>&1
    return
  fi
  say 'unpacking libatomic1, which Node.js needs, into .cache …'
  mkdir -p .cache/lib
  (cd .cache/lib && apt-get -qq download libatomic1 && dpkg -x libatomic1_*.deb . && rm -f libatomic1_*.deb) >/dev/null 2>&1 || return 1
  library=$(cd "$(dirname "$(find .cache/lib -name libatomic.so.1 | head -n 1)")" && pwd)
  binary=$(cd node_modules/.bin && cd "$(dirname "$(readlink node)")" && pwd)/node
  rm -f "$runtime"
  printf '#!/bin/sh\nLD_LIBRARY_PATH="%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "%s" "$@"\n' "$library" "$binary" >"$runtime"
  chmod +x "$runtime"
}
