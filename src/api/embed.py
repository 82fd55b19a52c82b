#!/usr/bin/env python3
"""embed.py OUTPUT.cc FILE...: the files as arrays of a C++ source (see embedded.h). Names are relative to this script."""

import sys
from pathlib import Path

base = Path(__file__).resolve().parent
output, names = sys.argv[1], sys.argv[2:]
parts = ['#include "api/embedded.h"\n\nnamespace tailrace::api {\nnamespace {\n']
entries = []
for number, name in enumerate(names):
    path = Path(name).resolve()
    content = path.read_bytes()
    lines = []
    for start in range(0, len(content), 2000):  # compilers limit one literal; neighbours are joined
        text = "".join(
            chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in content[start : start + 2000])
        lines.append(f'    "{text}"')
    parts.append(f"constexpr char kFile{number}[] =\n" + "\n".join(lines or ['    ""']) + ";\n")
    entries.append(f'    {{"{path.relative_to(base)}", {{kFile{number}, {len(content)}}}}},\n')
parts.append("constexpr EmbeddedFile kFiles[] = {\n" + "".join(entries) + "};\n}  // namespace\n\n")
parts.append("const std::span<const EmbeddedFile> kEmbeddedFiles = kFiles;\n\n}  // namespace tailrace::api\n")
Path(output).parent.mkdir(parents=True, exist_ok=True)
Path(output).write_text("".join(parts))
