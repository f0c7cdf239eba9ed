# Part of setup.sh: node_modules, with the Node.js that the `runtime` workspace pins.

stamp=node_modules/.perennial-setup

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
  npm ci --ignore-scripts --loglevel=error --no-progress >/dev/null || fail \
    'npm could not install the packages; its own message is above.' \
    'Most often the package registry cannot be reached: check the network, a proxy (npm config get proxy) and the' \
    'registry (npm config get registry), then run the same command again. Nothing is left half done.'
  check_runtime
  wanted_state >"$stamp"
}

# The bundled runtime fits Linux with glibc (x64, arm64), macOS (arm64) and Windows (x64). Elsewhere the machine's own
# Node.js does, when it is new enough: then the link that would hide it goes away.
check_runtime() {
  if node_modules/.bin/node --version >/dev/null 2>&1; then
    return 0
  fi
  rm -f node_modules/.bin/node
  if node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 24 || (a === 24 && b >= 18) ? 0 : 1)' 2>/dev/null; then
    say "no bundled Node.js runs on this machine; using its own, $(node --version)."
    return 0
  fi
  fail "no bundled Node.js runs on this machine ($(uname -s) $(uname -m))." \
    'Install Node.js 26 (24.18 at least) so that `node --version` shows it, then run the same command again.'
}
