# What a login of the lab has besides Debian's: the tests' Python, and the user's own systemd and bus.
export PATH="/opt/test-venv/bin:$PATH" LANG=C.UTF-8
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
export DBUS_SESSION_BUS_ADDRESS="${DBUS_SESSION_BUS_ADDRESS:-unix:path=$XDG_RUNTIME_DIR/bus}"
