#!/usr/bin/env python3
"""Makes C++ structs with Encode and Decode for every version from our declarations of Kafka's messages.

usage: kafka_messages.py --out DIR FILE.msg...

A declaration (src/wire/messages/*.msg) is

    api KEY NAME versions A-B flexible C+     both directions follow, as blocks `request` and `response`
    data NAME versions A-B                    one struct without an API around it
      FIELD TYPE [VERSIONS] [nullable [VERSIONS]] [tag N] [= DEFAULT]

with `#` comments. TYPE is bool, int8 to int64, uuid, string, bytes, records, NAME (a struct whose fields follow, indented
deeper) or [] before any of these. VERSIONS is `3+`, `2-7`, `5` or `-12` (up to); left out, those of the struct around it.
A nullable field is a std::optional, absent until set (records carry a flag). Tagged fields (KIP-482) go out only where
they differ from their default. A field that a version does not have keeps its default when decoding.
"""

import argparse
import os
import re
import sys

SCALARS = {  # type -> (C++ type, call)
    "bool": ("bool", "Bool"),
    "int8": ("int8_t", "Int8"),
    "int16": ("int16_t", "Int16"),
    "int32": ("int32_t", "Int32"),
    "int64": ("int64_t", "Int64"),
    "uuid": ("Uuid", "UuidValue"),
    "string": ("std::string", "String"),
    "bytes": ("std::string", "Bytes"),
    "records": ("Records", "RecordsValue"),
}
LENGTH = ("string", "bytes", "records")  # their length has a compact form
NULLABLE_CALL = {"string": "NullableString", "bytes": "NullableBytes"}
NEVER = 32767


class DeclarationError(Exception):
    pass


def camel(name):
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def parse_range(text, outer):
    match = re.fullmatch(r"(\d+)?(?:(\+)|-(\d+))?", text)
    if not match or not text:
        raise DeclarationError(f"'{text}' is not a range of versions: write 3+, 2-7, 5 or -12")
    low = int(match[1]) if match[1] else outer[0]
    high = outer[1] if match[2] else int(match[3]) if match[3] else low
    low, high = max(low, outer[0]), min(high, outer[1])
    if low > high:
        raise DeclarationError(f"versions {text} lie outside {outer[0]}-{outer[1]}")
    return low, high


class Struct:
    def __init__(self, name, versions):
        self.name, self.versions, self.fields = name, versions, []

    @property
    def plain(self):
        return [f for f in self.fields if f.tag is None]

    @property
    def tagged(self):
        return sorted((f for f in self.fields if f.tag is not None), key=lambda f: f.tag)


class Field:
    """One line of a declaration; `struct` holds the lines indented below it."""

    def __init__(self, words, outer):
        self.name, kind = words[0], words[1]
        self.array = kind.startswith("[]")
        self.type = kind[2:] if self.array else kind
        self.versions, self.nullable, self.tag, self.default = outer, None, None, None
        self.struct = None
        rest = words[2:]
        if rest and re.fullmatch(r"[\d+-]+", rest[0]):
            self.versions = parse_range(rest.pop(0), outer)
        while rest:
            word = rest.pop(0)
            if word == "nullable":
                self.nullable = self.versions
                if rest and re.fullmatch(r"[\d+-]+", rest[0]):
                    self.nullable = parse_range(rest.pop(0), self.versions)
            elif word == "tag":
                self.tag = int(rest.pop(0))
            elif word == "=":
                self.default = rest.pop(0)
            else:
                raise DeclarationError(f"unknown word '{word}'")
        if self.type in SCALARS:
            return
        if not re.fullmatch(r"[A-Z]\w*", self.type):
            raise DeclarationError(f"unknown type '{self.type}'")
        self.struct = Struct(self.type, self.versions)

    @property
    def optional(self):
        return self.nullable is not None and (self.array or self.type != "records")

    def cpp_type(self):
        element = self.struct.name if self.struct else SCALARS[self.type][0]
        kind = f"std::vector<{element}>" if self.array else element
        return f"std::optional<{kind}>" if self.optional else kind

    def cpp_default(self):
        if self.default is None:
            return " = false" if self.cpp_type() == "bool" else " = 0" if re.match(r"int\d", self.cpp_type()) else ""
        value = {"-2147483648": "INT32_MIN", "2147483647": "INT32_MAX", "9223372036854775807": "INT64_MAX"}
        return " = " + value.get(self.default, self.default)


class Message(Struct):
    """A top-level struct: a request, a response, or data."""

    def __init__(self, name, versions, flexible, api=None, key=None):
        super().__init__(name, versions)
        self.flexible, self.api, self.key = flexible, api, key


def parse(path):
    """-> messages of one file."""
    messages, stack, head = [], [], None
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        text = line.split("#")[0].rstrip()
        if not text:
            continue
        words, indent = text.split(), len(text) - len(text.lstrip())
        try:
            if indent == 0 and words[0] in ("api", "data"):
                match = re.fullmatch(
                    r"(?:api (\d+)|data) (\w+) versions (\d+)(?:-(\d+))?(?: flexible (?:(\d+)\+|none))?", " ".join(words))
                if not match:
                    raise DeclarationError("expected: api KEY NAME versions A-B flexible C+, or data NAME versions A-B")
                versions = (int(match[3]), int(match[4] or match[3]))
                head = (match[2], versions, int(match[5]) if match[5] else NEVER, match[1])
                if words[0] == "data":
                    messages.append(Message(head[0], versions, head[2]))
                    stack = [(0, messages[-1])]
            elif indent == 0 and words[0] in ("request", "response") and head and head[3]:
                messages.append(Message(head[0] + words[0].capitalize(), head[1], head[2], head[0], head[3]))
                stack = [(0, messages[-1])]
            elif indent > 0 and stack and len(words) > 1:
                while indent <= stack[-1][0]:
                    stack.pop()
                field = Field(words, stack[-1][1].versions)
                stack[-1][1].fields.append(field)
                if field.struct:
                    stack.append((indent, field.struct))
            else:
                raise DeclarationError("expected a field: NAME TYPE")
        except DeclarationError as error:
            sys.exit(f"{path}:{number}: {error}")
    return messages


class Writer:
    """Code of one message."""

    def __init__(self, message):
        self.message, self.lines = message, []
        low, high = message.versions
        self.flex = "true" if message.flexible <= low else "false" if message.flexible > high else "flexible"

    def put(self, depth, text):
        self.lines.append("  " * depth + text if text else "")

    def guard(self, versions, outer):
        """The condition under which a field is there, as `if (...) `; empty where it always is."""
        terms = []
        if versions[0] > outer[0]:
            terms.append(f"version >= {versions[0]}")
        if versions[1] < outer[1]:
            terms.append(f"version <= {versions[1]}")
        return " && ".join(terms)

    def nullable(self, field):
        return "false" if field.nullable is None else self.guard(field.nullable, field.versions) or "true"

    # --- header

    def declare(self, struct, depth):
        for field in struct.fields:
            if field.struct:
                self.put(depth, f"struct {field.struct.name} {{")
                self.declare(field.struct, depth + 1)
                self.put(depth, "};")
        for field in struct.fields:
            note = [] if field.versions == struct.versions else ["v%d to v%d" % field.versions]
            note += [f"tag {field.tag}"] if field.tag is not None else []
            comment = "  // " + ", ".join(note) if note else ""
            self.put(depth, f"{field.cpp_type()} {field.name}{field.cpp_default()};{comment}")
        self.put(depth, f"bool operator==(const {struct.name}&) const = default;")
        self.put(depth, "void Encode(Encoder& to, int16_t version) const;")
        self.put(depth, "void DecodeFrom(Decoder& from, int16_t version);")

    def header(self):
        m = self.message
        self.put(0, f"struct {m.name} {{")
        if m.api:
            self.put(1, f"static constexpr ApiKey kApi = ApiKey::k{m.api};")
        self.put(1, f"static constexpr int16_t kMinVersion = {m.versions[0]}, kMaxVersion = {m.versions[1]};")
        self.declare(m, 1)
        self.put(1, "/// kUnsupported: not a version of this message; kCorrupt: names field, reason and byte.")
        self.put(1, f"static Result<{m.name}> Decode(BytesView body, int16_t version);")
        self.put(0, "};\n")
        return "\n".join(self.lines)

    # --- encode

    def encode_value(self, field, expression, depth):
        if field.struct:
            self.put(depth, f"{expression}.Encode(to, version);")
        elif field.type == "records":
            self.put(depth, f"to.RecordsValue({expression}, {self.flex}, {self.nullable(field)});")
        else:
            flex = f", {self.flex}" if field.type in LENGTH else ""
            self.put(depth, f"to.{SCALARS[field.type][1]}({expression}{flex});")

    def encode_field(self, field, depth):
        name = field.name
        if field.array:
            value = name
            if field.optional:
                self.put(depth, f"if (!{name}) {{")
                self.put(depth + 1, f"to.NullArray({self.flex}, {self.nullable(field)});")
                self.put(depth, "} else {")
                value, depth = f"(*{name})", depth + 1
            self.put(depth, f"to.ArrayCount({value}.size(), {self.flex});")
            self.put(depth, f"for (const auto& element : {value}) {{")
            self.encode_value(field, "element", depth + 1)
            self.put(depth, "}")
            if field.optional:
                self.put(depth - 1, "}")
        elif field.optional and field.struct:
            self.put(depth, f"to.Int8({name} ? 1 : -1);")
            self.put(depth, f"if ({name}) {name}->Encode(to, version);")
        elif field.optional:
            self.put(depth, f"to.{NULLABLE_CALL[field.type]}({name}, {self.flex}, {self.nullable(field)});")
        else:
            self.encode_value(field, name, depth)

    def is_set(self, field):
        if field.array or field.optional:
            return f"{field.name}.has_value()" if field.optional else f"!{field.name}.empty()"
        if field.struct:
            return f"{field.name} != {field.struct.name}{{}}"
        if field.type in ("string", "bytes"):
            return f"!{field.name}.empty()"
        default = field.cpp_default().replace(" = ", "") or f"{field.cpp_type()}{{}}"
        return f"{field.name} != {default}"

    def encode(self, struct, scope):
        self.put(0, f"void {scope}::Encode(Encoder& to, [[maybe_unused]] int16_t version) const {{")
        self.flexible_local()
        for field in struct.plain:
            self.guarded(field, struct, self.encode_field)
        if self.flex != "false":
            depth = 1
            if self.flex == "flexible":
                self.put(1, "if (flexible) {")
                depth = 2
            if struct.tagged:
                for field in struct.tagged:
                    guard = self.guard(field.versions, (max(struct.versions[0], self.message.flexible), struct.versions[1]))
                    self.put(depth, f"const bool has_{field.name} = {guard + ' && ' if guard else ''}{self.is_set(field)};")
                self.put(depth, "to.Uvarint(" + " + ".join(f"has_{f.name}" for f in struct.tagged) + ");")
                for field in struct.tagged:
                    self.put(depth, f"if (has_{field.name}) {{")
                    self.put(depth + 1, f"const size_t mark = to.BeginTag({field.tag});")
                    self.encode_field(field, depth + 1)
                    self.put(depth + 1, "to.EndTag(mark);")
                    self.put(depth, "}")
            else:
                self.put(depth, "to.NoTags();")
            if depth == 2:
                self.put(1, "}")
        self.put(0, "}\n")

    # --- decode

    def decode_value(self, field, path):
        if field.type == "records":
            return f'from.RecordsValue({self.flex}, {self.nullable(field)}, "{path}")'
        flex = f"{self.flex}, " if field.type in LENGTH else ""
        return f'from.{SCALARS[field.type][1]}({flex}"{path}")'

    def decode_field(self, field, depth, path):
        name = field.name
        if field.array:
            count = f'from.ArrayCount({self.flex}, {self.nullable(field) if field.optional else "false"}, "{path}")'
            target = f"{name}.emplace()" if field.optional else name
            self.put(depth, f"if (int32_t count = {count}; count >= 0) {{")
            self.put(depth + 1, f"auto& elements = {target};")
            if not field.optional:
                self.put(depth + 1, "elements.clear();")
            self.put(depth + 1, "elements.reserve(Decoder::Reserve(count));")
            self.put(depth + 1, "for (; count > 0 && from.ok(); count--) {")
            if field.struct:
                self.put(depth + 2, "elements.emplace_back().DecodeFrom(from, version);")
            else:
                self.put(depth + 2, f'elements.push_back({self.decode_value(field, path + "[]")});')
            self.put(depth + 1, "}")
            self.put(depth, "}")
        elif field.optional and field.struct:
            self.put(depth, f'if (from.Int8("{path}") >= 0) {name}.emplace().DecodeFrom(from, version);')
        elif field.struct:
            self.put(depth, f"{name}.DecodeFrom(from, version);")
        elif field.optional:
            self.put(depth, f'{name} = from.{NULLABLE_CALL[field.type]}({self.flex}, {self.nullable(field)}, "{path}");')
        else:
            self.put(depth, f"{name} = {self.decode_value(field, path)};")

    def decode(self, struct, scope, path):
        self.put(0, f"void {scope}::DecodeFrom(Decoder& from, [[maybe_unused]] int16_t version) {{")
        self.flexible_local()
        for field in struct.plain:
            self.guarded(field, struct, lambda f, depth: self.decode_field(f, depth, path + f.name))
        if self.flex != "false":
            condition = "if (flexible) " if self.flex == "flexible" else ""
            if not struct.tagged:
                self.put(1, f"{condition}from.SkipTags();")
            else:
                self.put(1, f"{condition}{{")
                self.put(2, "for (uint32_t count = from.TagCount(); count > 0 && from.ok(); count--) {")
                self.put(3, "switch (from.BeginTag()) {")
                for field in struct.tagged:
                    self.put(4, f"case {field.tag}:")
                    guard = self.guard(field.versions, (max(struct.versions[0], self.message.flexible), struct.versions[1]))
                    if guard:
                        self.put(5, f"if (!({guard})) break;")
                    self.decode_field(field, 5, path + field.name)
                    self.put(5, "break;")
                self.put(3, "}")
                self.put(3, "from.EndTag();")
                self.put(2, "}")
                self.put(1, "}")
        self.put(0, "}\n")

    def guarded(self, field, struct, emit):
        guard = self.guard(field.versions, struct.versions)
        if guard:
            self.put(1, f"if ({guard}) {{")
            emit(field, 2)
            self.put(1, "}")
        else:
            emit(field, 1)

    def flexible_local(self):
        if self.flex == "flexible":
            self.put(1, f"[[maybe_unused]] const bool flexible = version >= {self.message.flexible};")

    def structs(self, struct, scope, path, visit):
        for field in struct.fields:
            if field.struct:
                inner = path + field.name + ("[]." if field.array else ".")
                self.structs(field.struct, f"{scope}::{field.struct.name}", inner, visit)
        visit(struct, scope, path)

    def source(self):
        m = self.message
        self.structs(m, m.name, "", lambda s, scope, path: (self.encode(s, scope), self.decode(s, scope, path)))
        title = f"{m.api} {m.name[len(m.api):].lower()}" if m.api else m.name
        self.put(0, f"Result<{m.name}> {m.name}::Decode(BytesView body, int16_t version) {{")
        self.put(1, "if (version < kMinVersion || version > kMaxVersion) {")
        self.put(2, f'return Unsupported("{title}: no version " + std::to_string(version));')
        self.put(1, "}")
        self.put(1, "Decoder from(body);")
        self.put(1, f"{m.name} message;")
        self.put(1, "message.DecodeFrom(from, version);")
        self.put(1, f'if (!from.ok()) return from.ToError("{title}", version);')
        self.put(1, "return message;")
        self.put(0, "}\n")
        if m.api and m.name.endswith("Request"):
            self.put(0, f"static_assert(GetApi(ApiKey::k{m.api}).key == static_cast<ApiKey>({m.key}) &&")
            self.put(2, f"GetApi(ApiKey::k{m.api}).min >= {m.versions[0]} && GetApi(ApiKey::k{m.api}).max <= {m.versions[1]} &&")
            self.put(2, f"GetApi(ApiKey::k{m.api}).first_flexible == {m.flexible},")
            self.put(2, '"wire/api_versions.h differs from the declaration");\n')
        return "\n".join(self.lines)

    # --- tests

    def random_fill(self):
        """Functions that fill each field a version has with random content."""
        def visit(struct, scope, _path):
            self.put(0, f"inline void Fill({scope}& m, RandomContent& r, [[maybe_unused]] int16_t version) {{")
            for field in struct.fields:
                versions = field.versions
                if field.tag is not None:
                    versions = (max(versions[0], self.message.flexible), versions[1])
                guard = self.guard(versions, struct.versions)
                self.put(1, f"if ({guard or 'true'}) r.Value(m.{field.name}, {self.nullable(field)},")
                element = "[&](auto& e) { Fill(e, r, version); }" if field.struct else "[&](auto& e) { r.Scalar(e); }"
                self.put(3, f"{element});")
            self.put(0, "}")
        self.structs(self.message, self.message.name, "", visit)
        return "\n".join(self.lines)


def write(path, text):
    """Leaves an unchanged file alone, so that nothing is compiled again."""
    if os.path.exists(path) and open(path, encoding="utf-8").read() == text:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("files", nargs="+")
    options = arguments.parse_args()
    stems = [os.path.splitext(os.path.basename(f))[0] for f in options.files]
    fill = ["// Generated by scripts/gen/kafka_messages.py; for tests.\n#pragma once\n"]
    fill += [f'#include "wire/messages/{stem}.h"' for stem in stems]
    fill += ['#include "wire/random_content.h"\n\nnamespace tailrace::wire {\n']
    names = []
    for path, stem in zip(options.files, stems):
        messages = parse(path)
        made = f"// Generated by scripts/gen/kafka_messages.py from src/wire/messages/{stem}.msg.\n"
        header = made + "#pragma once\n\n#include <cstdint>\n#include <optional>\n#include <string>\n#include <vector>\n\n"
        if any(m.api for m in messages):
            header += '#include "wire/api_versions.h"\n'
        header += '#include "wire/codec.h"\n\nnamespace tailrace::wire {\n\n'
        header += "\n".join(Writer(m).header() for m in messages) + "\n}  // namespace tailrace::wire\n"
        source = made + f'#include "wire/messages/{stem}.h"\n\nnamespace tailrace::wire {{\n\n'
        source += "\n".join(Writer(m).source() for m in messages) + "\n}  // namespace tailrace::wire\n"
        write(f"{options.out}/wire/messages/{stem}.h", header)
        write(f"{options.out}/wire/messages/{stem}.cc", source)
        fill += [Writer(m).random_fill() for m in messages]
        names += [m.name for m in messages]
    fill += ["\n#define TAILRACE_KAFKA_MESSAGES(X) \\\n  " + " \\\n  ".join(f"X({name})" for name in names)]
    fill += ["\n}  // namespace tailrace::wire\n"]
    write(f"{options.out}/wire/messages/random_fill.h", "\n".join(fill))


if __name__ == "__main__":
    main()
