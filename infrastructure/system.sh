#!/bin/sh
# See to the system libraries named: pango, chromium, python3-venv. On Debian as root it installs what is missing;
# elsewhere it prints the one line that does, and fails.
set -eu

missing=""
for need in "$@"; do
    case "$need" in
    pango)
        # WeasyPrint loads these by name: https://doc.courtbouillon.org/weasyprint/stable/first_steps.html
        { command -v ldconfig >/dev/null || PATH="$PATH:/sbin:/usr/sbin"; libraries=$(ldconfig -p 2>/dev/null || true); }
        for library in "libpango-1.0:libpango-1.0-0" "libpangoft2-1.0:libpangoft2-1.0-0" "libharfbuzz-subset:libharfbuzz-subset0"; do
            case "$libraries" in *"${library%%:*}"*) ;; *) missing="$missing ${library#*:}" ;; esac
        done
        # A text without any font is a page of boxes.
        [ -d /usr/share/fonts/truetype ] || [ "$(uname)" = Darwin ] || missing="$missing fonts-dejavu-core"
        ;;
    chromium) command -v chromium >/dev/null || [ -n "${CHROMIUM:-}" ] || missing="$missing chromium" ;;
    *) missing="$missing $need" ;;
    esac
done
[ -z "$missing" ] && exit 0

if [ "$(uname)" = Darwin ]; then
    [ -e /opt/homebrew/lib/libpango-1.0.dylib ] || [ -e /usr/local/lib/libpango-1.0.dylib ] && exit 0
    echo "Portico needs:$missing. Install them with:  brew install pango && brew install --cask chromium"
    exit 1
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing$missing …"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
    exit 0
fi
echo "Portico needs:$missing. On Debian or Ubuntu:  sudo apt-get install -y --no-install-recommends$missing"
exit 1
