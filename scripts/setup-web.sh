# Part of setup.sh: the dashboard, built into web/dist when what it is made from has changed.

built=web/dist/.made-from

# The sources of the dashboard, what it shares with the server, and the versions of its packages.
web_sources() {
  find web src/client src/filter -path web/dist -prune -o -type f -print 2>/dev/null | LC_ALL=C sort | xargs cksum
  cksum package-lock.json
}

build_web() {
  state=$(web_sources)
  if [ -f "$built" ] && [ "$state" = "$(cat "$built")" ]; then
    return 0
  fi
  say 'building the dashboard (after a change; a few seconds) …'
  "$PWD/$runtime" node_modules/vite/bin/vite.js build --config web/vite.config.ts --logLevel warn >&2 || fail \
    'the dashboard could not be built; the message is above.'
  printf '%s\n' "$state" >"$built"
}
