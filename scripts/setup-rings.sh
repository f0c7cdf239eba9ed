# Part of setup.sh: programs of the operating system for the interop tests. Each that cannot be had is named with what
# it costs; the tests that need it then report themselves as skipped (test/helpers/require.ts has the same list).

cache=.cache
packages=''
lacking=''

# need NAME TEST PACKAGES: when TEST (a shell command) fails, PACKAGES are to be installed.
need() {
  (eval "$2") >/dev/null 2>&1 && return 0
  lacking="$lacking $1"
  packages="$packages $3"
}

find_lacking() {
  packages='' lacking=''
  plugins=/usr/lib/ipsec/plugins
  need openssl 'command -v openssl' openssl
  need curl 'command -v curl' curl
  need postgresql 'command -v initdb || ls /usr/lib/postgresql/*/bin/initdb' postgresql
  need strongswan "command -v pki && test -e $plugins/libstrongswan-openssl.so && test -e $plugins/libstrongswan-curl.so" \
    'strongswan-pki libstrongswan-standard-plugins libstrongswan-extra-plugins'
  need certtool 'command -v certtool' gnutls-bin
  need docker-compose 'command -v docker-compose' docker-compose
  need systemd-analyze 'command -v systemd-analyze' systemd
  need kannel '[ -x /usr/sbin/bearerbox ] && [ -x /usr/sbin/smsbox ]' kannel
  need ocsptool 'command -v ocsptool' gnutls-bin
  need nginx 'command -v nginx || [ -x /usr/sbin/nginx ]' nginx-light
  need haproxy 'command -v haproxy || [ -x /usr/sbin/haproxy ]' haproxy
  need mosquitto 'command -v mosquitto || [ -x /usr/sbin/mosquitto ]' mosquitto
  need mosquitto-clients 'command -v mosquitto_pub && command -v mosquitto_sub' mosquitto-clients
  need java 'command -v javac' default-jdk-headless
  need bouncycastle 'cd /usr/share/java && ls bcpkix.jar bcprov.jar bcutil.jar bctls.jar' \
    'libbcpkix-java libbcprov-java libbcutil-java libbctls-java'
  need softhsm 'test -e /usr/lib/softhsm/libsofthsm2.so && command -v softhsm2-util' softhsm2
  need pkcs11-tool 'command -v pkcs11-tool' opensc
  need openssl-pkcs11 'ls /usr/lib/*/engines-3/pkcs11.so' libengine-pkcs11-openssl
  need swtpm 'command -v swtpm && command -v swtpm_setup' 'swtpm swtpm-tools'
  need openssl-tpm2 'ls /usr/lib/*/ossl-modules/tpm2.so' tpm2-openssl
  need tpm2-abrmd 'test -x /usr/sbin/tpm2-abrmd && ls /usr/lib/*/libtss2-tcti-tabrmd.so.0' \
    'tpm2-abrmd libtss2-tcti-tabrmd0 libtss2-tcti-swtpm0'
  need faketime 'command -v faketime' faketime
  need dbus 'command -v dbus-daemon && command -v dbus-send' dbus
  need go 'command -v go' golang-go
  need chromium 'command -v chromium' chromium
  need promtool 'command -v promtool' prometheus
  need go-tlog 'test -e /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog/tlog.go' golang-golang-x-mod-dev
}

has_zlint() {
  command -v zlint >/dev/null 2>&1 || [ -x "$cache/zlint/usr/bin/zlint" ]
}

install_rings() {
  find_lacking
  if [ -z "$lacking" ] && has_zlint; then
    return 0
  fi
  wanted=$lacking
  has_zlint || wanted="$wanted zlint"

  if ! command -v apt-get >/dev/null 2>&1 || [ ! -e /etc/debian_version ]; then
    say "not installed here, their tests will be skipped:$wanted"
    say 'this machine has no apt; install them by hand to run those tests too.'
    return 0
  fi
  if [ "$(id -u)" != 0 ]; then
    say "not installed here, their tests will be skipped:$wanted"
    say 'run as root, the same command installs them.'
    return 0
  fi

  say "installing programs for the interop tests (once):$wanted …"
  log=$(mktemp)
  apt update >"$log" 2>&1 || true # one broken third-party list must not stop the rest; the install says what is lacking
  if [ -n "$packages" ]; then
    keep_postgresql_quiet
    # shellcheck disable=SC2086 # a list of words
    if ! apt install --no-install-recommends $packages >>"$log" 2>&1; then
      # One package that this release does not have must not cost the others.
      for package in $packages; do
        apt install --no-install-recommends "$package" >>"$log" 2>&1 || true
      done
    fi
  fi
  has_zlint || install_zlint >>"$log" 2>&1 || true

  find_lacking
  has_zlint || lacking="$lacking zlint"
  if [ -n "$lacking" ]; then
    say "could not be installed, their tests will be skipped:$lacking"
    say 'the last lines of apt-get were:'
    tail -n 5 "$log" | sed 's/^/       /' >&2
  fi
  rm -f "$log"
}

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 \
    -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 \
    -o Dpkg::Options::=--force-confold "$@"
}

# The tests start a PostgreSQL of their own; the package must not start one for the machine.
keep_postgresql_quiet() {
  case "$packages" in *postgresql*) ;; *) return 0 ;; esac
  [ -e /etc/postgresql-common/createcluster.conf ] && return 0
  mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
}

# zlint is one static binary, packaged from Debian 13 (trixie) on. A private package list next to the machine's own
# fetches it from the mirror that the machine already uses, and it is unpacked, not installed.
install_zlint() {
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -e "$keyring" ] || return 1
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' | sort | uniq | head -n 1)
  [ -n "$mirror" ] || return 1

  work=$(mktemp -d)
  chmod 755 "$work" # apt fetches as its own user
  mkdir -p "$work/lists/partial" "$work/archives/partial"
  echo "deb [signed-by=$keyring] $mirror trixie main" >"$work/sources.list"
  private="-o Dir::Etc::sourcelist=$work/sources.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::Lists=$work/lists -o Dir::Cache=$work"
  # shellcheck disable=SC2086 # a list of options
  (apt $private update && cd "$work" && apt $private download zlint && dpkg -x zlint_*.deb unpacked) || { rm -rf "$work"; return 1; }
  mkdir -p "$cache"
  rm -rf "$cache/zlint"
  mv "$work/unpacked" "$cache/zlint"
  rm -rf "$work"
  "$cache/zlint/usr/bin/zlint" -version
}
