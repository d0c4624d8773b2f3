#!/usr/bin/env python3
"""Kernels of FILE (PTX, or an object in which it stands uncompressed) that write to an array at a kernel's parameter itself, one a line; the
first line is the number of kernels.

Kernels of environments write at places within their arrays only: the address is computed. nvcc 13.0 once made the former of the latter
(cuda/lane_kernels.h), which nothing but a GPU would notice. The clock, which the last block moves on, is one that may (two stores)."""
import re
import sys

text = open(sys.argv[1], "rb").read().decode("latin-1")
entries = [entry for ptx in re.findall(r"\.version [^\0]*", text) for entry in ptx.split(".entry ")[1:]]
print(len(entries))
for entry in entries:
    made = {}
    for line in entry.split("\n"):
        found = re.match(r"\s*(?:@!?%p\d+ )?(\S+)\s+(%rd\d+), (.*);", line)
        if found:
            made.setdefault(found[2], []).append((found[1], found[3]))

    def is_parameter(register, depth=0):
        return depth < 8 and any(
            how.startswith("ld.param") or (how.startswith(("cvta", "mov", "selp")) and any(is_parameter(r, depth + 1) for r in re.findall(r"%rd\d+", what)))
            for how, what in made.get(register, [])
        )

    stores = [line.strip() for line in entry.split("\n") if (at := re.match(r"\s*(?:@!?%p\d+ )?st\.\S+\s+\[(%rd\d+)(?:\+\d+)?\]", line)) and is_parameter(at[1])]
    if len(stores) > 2:
        print(entry[: entry.index("(")], len(stores), *stores[:4])
