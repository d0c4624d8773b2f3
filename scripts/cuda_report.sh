#!/usr/bin/env bash
# cuda_report.sh: what ptxas says of every kernel, one line each: reads its log, prints architecture, registers, stack, spills and name.
case ${1:-} in
"") ;;
-h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 0 ;;
*) echo "cuda_report.sh: unknown argument $1: it reads ptxas' log from standard input (make cuda-report)" >&2 && exit 2 ;;
esac
awk '
    /Compiling entry function/ { split($0, part, "\x27"); name = part[2]; arch = part[4] }
    /bytes stack frame/ { stack = $1; stores = $5; loads = $9 }
    /Used [0-9]+ registers/ { for (i = 1; i < NF; i++) if ($i == "Used") registers = $(i + 1); print arch, registers, stack, stores, loads, name }
' | sort -u | while read -r arch registers stack stores loads name; do
    printf '%-7s %4s registers %6s stack %6s spilled stores %6s loads  %s\n' "$arch" "$registers" "$stack" "$stores" "$loads" "$(c++filt "$name" 2>/dev/null | sed 's/(.*//; s/.*:://')"
done
