# Sourced by tests that say what they found as TAP; each ends with `exit $failed`.
failed=0

is() { # name expected actual
    if [ "$2" = "$3" ]; then echo "ok - $1"; else echo "not ok - $1: expected \"$2\", got \"${3:0:600}\"" && failed=1; fi
}
has() { # name part text
    case $3 in *"$2"*) echo "ok - $1" ;; *) echo "not ok - $1: \"${3:0:600}\" doesn't say \"$2\"" && failed=1 ;; esac
}
lacks() { # name part text
    case $3 in *"$2"*) echo "not ok - $1: \"${3:0:600}\" says \"$2\"" && failed=1 ;; *) echo "ok - $1" ;; esac
}
