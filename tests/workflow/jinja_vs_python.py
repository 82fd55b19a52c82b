#!/usr/bin/env python3
"""Templates with the answers of Python's Jinja2 (StrictUndefined, as Airflow sets it up).

    jinja_vs_python.py            checks jinja_cases.json against the Jinja2 that is installed
    jinja_vs_python.py --write    writes it anew

The unit test of src/workflow/jinja renders the same templates and compares; it needs no Python.
"""

import datetime
import json
import sys
from pathlib import Path

import jinja2
import jinja2.sandbox

CASES = Path(__file__).with_name("jinja_cases.json")
WHEN = datetime.datetime(2024, 3, 5, 7, 8, 9, 120000, tzinfo=datetime.timezone.utc)
CONTEXT = {
    "name": "World", "empty": "", "n": 7, "zero": 0, "neg": -3, "pi": 3.14159, "big": 1234567.891, "yes": True, "no": False,
    "nothing": None, "text": "The quick brown fox jumps over the lazy dog", "spaced": "  padded  ", "html": "<a href=\"x\">it's & more</a>",
    "items": [3, 1, 2], "words": ["banana", "Apple", "cherry"], "mixed": [1, "two", 3.0, None, True], "nested": [[1, 2], [3], []],
    "user": {"name": "Ann", "age": 42, "tags": ["x", "y"], "address": {"city": "Oslo", "zip": "0150"}},
    "users": [{"name": "Bob", "age": 30, "active": True}, {"name": "ann", "age": 25, "active": False}, {"name": "Cy", "age": 35, "active": True}],
    "unicode": "Grüße, 世界 ✓", "multi": "line one\nline two\n\nline four", "path": "s3://bucket/key/file.csv", "when": WHEN,
    "quote": "it's", "both": "it's \"quoted\"", "number_text": "42", "float_text": "2.5", "csv": "a,b,,c",
}
TEMPLATES = """
{{ name }}
Hello {{ name }}!
{{ n + 1 }}|{{ n - 10 }}|{{ n * 3 }}|{{ n / 2 }}|{{ n // 2 }}|{{ n % 4 }}|{{ n ** 2 }}
{{ neg // 2 }}|{{ neg % 5 }}|{{ -n }}|{{ +n }}|{{ 2 ** -1 }}|{{ -2 ** 2 }}|{{ 2 ** 3 ** 2 }}
{{ 1.0 }}|{{ 1e3 }}|{{ 0.1 + 0.2 }}|{{ 1e20 }}|{{ 1e16 }}|{{ 123456789.0 }}|{{ 1e-5 }}|{{ 10 / 5 }}
{{ 7.5 // 2 }}|{{ 7.5 % 2 }}|{{ -7.5 % 2 }}|{{ 1_000 }}
{{ 'a' ~ 1 ~ 2.5 ~ none ~ true }}
{{ "a" + "b" }}|{{ "ab" * 3 }}|{{ [1] + [2, 3] }}|{{ [0] * 3 }}|{{ (1, 2) }}|{{ (1,) }}|{{ () }}
{{ true }}|{{ false }}|{{ none }}|{{ True }}|{{ None }}
{{ [1, 'two', 3.0, None, True] }}|{{ {'a': 1, 'b': [1, 2]} }}|{{ [] }}|{{ {} }}
{{ mixed }}|{{ nested }}|{{ user }}
{{ quote }}|{{ [quote, both] }}
{{ 1 < 2 }}|{{ 1 < 2 < 3 }}|{{ 1 < 2 > 3 }}|{{ 1 == 1.0 }}|{{ 1 != 2 }}|{{ 'a' < 'b' }}|{{ [1, 2] < [1, 3] }}|{{ true == 1 }}
{{ 2 in items }}|{{ 9 not in items }}|{{ 'ell' in 'hello' }}|{{ 'name' in user }}|{{ 'x' in user.tags }}
{{ yes and no }}|{{ yes or no }}|{{ not yes }}|{{ n and 'x' }}|{{ zero or 'y' }}|{{ empty or nothing or 'z' }}
{{ not no and yes }}|{{ not (no or yes) }}|{{ not n == 7 }}
{{ 'yes' if n > 5 else 'no' }}|{{ 'yes' if zero }}|{{ 'a' if no else 'b' if no else 'c' }}
{{ user.name }}|{{ user['age'] }}|{{ user.address.city }}|{{ user["address"]["zip"] }}|{{ users[0].name }}|{{ users[-1]['name'] }}|{{ user.tags.0 }}
{{ items[0] }}|{{ items[-1] }}|{{ items[1:] }}|{{ items[:2] }}|{{ items[::-1] }}|{{ items[::2] }}|{{ text[4:9] }}|{{ text[-3:] }}|{{ text[::-1] }}|{{ unicode[2:4] }}
{{ items | length }}|{{ text | length }}|{{ user | length }}|{{ unicode | length }}|{{ items | count }}
{{ name | upper }}|{{ name | lower }}|{{ 'hello world' | capitalize }}|{{ 'hello wORLD-foo (bar' | title }}
{{ spaced | trim }}|{{ 'xxhixx' | trim('x') }}|{{ text | replace('quick', 'slow') }}|{{ 'aaaa' | replace('a', 'b', 2) }}
{{ items | join }}|{{ items | join(', ') }}|{{ users | join(', ', attribute='name') }}|{{ words | join('-') | upper }}
{{ items | sort }}|{{ items | sort(reverse=true) }}|{{ words | sort }}|{{ words | sort(case_sensitive=true) }}|{{ users | sort(attribute='age') | map(attribute='name') | list }}
{{ items | first }}|{{ items | last }}|{{ items | max }}|{{ items | min }}|{{ items | sum }}|{{ users | sum(attribute='age') }}|{{ words | max }}
{{ items | reverse | list }}|{{ 'abc' | reverse }}|{{ [1, 1, 2, 'a', 'A'] | unique | list }}
{{ items | map('string') | list }}|{{ words | map('upper') | join(' ') }}|{{ words | map('length') | list }}|{{ users | map(attribute='age') | sum }}
{{ items | select('odd') | list }}|{{ items | reject('odd') | list }}|{{ mixed | select | list }}|{{ items | select('greaterthan', 1) | list }}|{{ items | select('in', [1, 2]) | list }}
{{ users | selectattr('active') | map(attribute='name') | list }}|{{ users | rejectattr('active') | map(attribute='name') | list }}|{{ users | selectattr('age', '>', 28) | map(attribute='name') | list }}|{{ users | selectattr('name', 'equalto', 'Bob') | list | length }}
{{ missing | default('none here') }}|{{ missing | d('x') }}|{{ empty | default('e') }}|{{ empty | default('e', true) }}|{{ user.nope | default('n') }}|{{ nothing | default('q') }}|{{ nothing | default('q', boolean=true) }}
{{ missing is defined }}|{{ name is defined }}|{{ missing is undefined }}|{{ user.nope is defined }}|{{ user.name is defined }}
{{ n is odd }}|{{ n is even }}|{{ n is divisibleby 7 }}|{{ n is divisibleby(3) }}|{{ n is number }}|{{ n is integer }}|{{ pi is float }}|{{ name is string }}|{{ user is mapping }}|{{ items is sequence }}|{{ items is iterable }}|{{ nothing is none }}|{{ yes is true }}|{{ no is false }}|{{ yes is boolean }}
{{ n is not odd }}|{{ name is not none }}|{{ n is eq 7 }}|{{ n is gt 5 }}|{{ n is lt(5) }}|{{ 'abc' is lower }}|{{ 'ABC' is upper }}|{{ 2 is in [1, 2] }}|{{ n is sameas 7 }}
{{ '42' | int }}|{{ '4x' | int }}|{{ '4x' | int(9) }}|{{ '2.9' | int }}|{{ 3.9 | int }}|{{ 'ff' | int(base=16) }}|{{ '2.5' | float }}|{{ 'x' | float }}|{{ 5 | float }}|{{ 5 | string ~ '!' }}
{{ 2.5 | round }}|{{ 3.14159 | round(2) }}|{{ 2.345 | round(2, 'floor') }}|{{ 2.341 | round(2, 'ceil') }}|{{ 7 | round }}|{{ 1.5 | round | int }}|{{ 2.675 | round(2) }}
{{ -5 | abs }}|{{ (-5) | abs }}|{{ neg | abs }}|{{ -2.5 | abs }}
{{ 'hello' | center(11) }}|{{ 'abc' | center(6) }}|{{ 'a b  c' | wordcount }}|{{ text | truncate(20) }}|{{ text | truncate(20, true) }}|{{ text | truncate(20, false, '!') }}|{{ 'short' | truncate(20) }}
{{ html | e }}|{{ html | escape }}|{{ 'a b/c?d=e&f' | urlencode }}|{{ {'a': 1, 'b c': 'x y'} | urlencode }}|{{ unicode | urlencode }}
{{ multi | indent(2) }}|{{ multi | indent(2, true) }}|{{ multi | indent(2, blank=true) }}|{{ multi | indent }}
{{ user | tojson }}|{{ [1, 2.5, none, true, 'x'] | tojson }}|{{ html | tojson }}|{{ unicode | tojson }}|{{ {'b': 1, 'a': 2} | tojson }}
{{ user | dictsort }}|{{ {'b': 1, 'A': 2} | dictsort }}|{{ {'b': 1, 'a': 2} | dictsort(by='value') }}|{{ {'b': 1, 'a': 2} | dictsort(reverse=true) }}
{{ '%s is %d years, %.2f m, %5d|%-5d|%05d, %x, %e, %%' | format('Ann', 42, 1.5, 7, 7, 7, 255, 12345.678) }}
{{ '%s and %r' % ('a', 'b') }}|{{ '%(x)s-%(y)03d' % {'x': 'k', 'y': 5} }}|{{ 'no args' % () }}|{{ '%+d % d' % (3, 4) }}
{{ '{} {}'.format('a', 1) }}|{{ '{1} {0}'.format('a', 'b') }}|{{ '{x:>5}|{y:<5}|{z:^5}'.format(x=1, y='b', z='c') }}|{{ '{:.2f} {:05d} {:,}'.format(3.14159, 42, 1234567) }}|{{ '{:%Y}'.format(when) }}|{{ '{:>8.3f}|{:+}|{:x}|{:%}'.format(2.5, 3, 255, 0.25) }}
{{ 'a,b,c'.split(',') }}|{{ ' a  b '.split() }}|{{ csv.split(',') }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a,b,c'.rsplit(',', 1) }}|{{ multi.splitlines() }}
{{ 'abc'.upper() }}|{{ 'ABC'.lower() }}|{{ ' x '.strip() }}|{{ 'xxa'.lstrip('x') }}|{{ 'axx'.rstrip('x') }}|{{ 'abc'.startswith('ab') }}|{{ 'abc'.endswith(('c', 'd')) }}|{{ 'a-b'.replace('-', '+') }}|{{ '7'.zfill(3) }}|{{ '-7'.zfill(4) }}|{{ 'ab'.ljust(4) }}|{{ 'ab'.rjust(4, '.') }}|{{ 'hello'.count('l') }}|{{ 'hello'.find('l') }}|{{ 'hello'.find('z') }}|{{ '12'.isdigit() }}|{{ ', '.join(['a', 'b']) }}
{{ "they're bill's".title() }}|{{ path.removeprefix('s3://') }}|{{ path.split('/')[-1].removesuffix('.csv') }}|{{ 'aB'.capitalize() }}|{{ 'aB'.isalpha() }}
{{ user.keys() | list }}|{{ user.values() | list | length }}|{{ user.get('name') }}|{{ user.get('nope') }}|{{ user.get('nope', 'dflt') }}|{{ [1, 2, 1].count(1) }}|{{ [1, 2, 1].index(2) }}
{% if n > 5 %}big{% else %}small{% endif %}
{% if zero %}a{% elif n == 7 %}b{% else %}c{% endif %}|{% if not zero %}d{% endif %}|{% if items %}has{% endif %}|{% if [] %}x{% else %}empty{% endif %}
{% for i in items %}{{ i }},{% endfor %}
{% for i in [] %}x{% else %}nothing{% endfor %}
{% for i in items %}{{ loop.index }}/{{ loop.length }}:{{ i }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for i in 'abc' %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ i }}{{ loop.first }}{{ loop.cycle('x', 'y') }};{% endfor %}
{% for k, v in user.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in user | dictsort %}{{ k }};{% endfor %}|{% for k in user %}{{ k }} {% endfor %}
{% for u in users if u.active %}{{ loop.index }}{{ u.name }} {% endfor %}
{% for row in nested %}[{% for c in row %}{{ c }}{% if not loop.last %};{% endif %}{% else %}-{% endfor %}]{% endfor %}
{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }} {% endfor %}|{% for i in range(3) %}{{ i }}{% endfor %}|{% for i in range(2, 8, 3) %}{{ i }} {% endfor %}|{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}
{% for i in items %}{{ loop.previtem | default('-') }}<{{ i }}<{{ loop.nextitem | default('-') }} {% endfor %}
{% set x = 5 %}{{ x }}|{% set a, b = 1, 2 %}{{ a }}{{ b }}|{% set y %}block {{ x }}{% endset %}{{ y }}
{% set x = 1 %}{% for i in items %}{% set x = i %}{% endfor %}{{ x }}|{% if true %}{% set z = 3 %}{% endif %}{{ z }}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}
{# a comment #}text{# another
over lines #}
{% raw %}{{ not rendered }} {% if %}{% endraw %} after
a {%- if true %} b {%- endif %} c|{{- ' x ' -}}|  {%- set q = 1 -%}  d
{% for i in [1, 2] -%}
  {{ i }}
{%- endfor %}
{{ '{{' }} {{ "%}" }} { } % # {{ '}}' }}
{{ "esc\\n\\t\\"q\\" \\u00e9 \\x41" }}|{{ 'a' 'b' }}
{{ when.year }}-{{ when.month }}-{{ when.day }} {{ when.hour }}:{{ when.minute }}:{{ when.second }}.{{ when.microsecond }}
{{ when.strftime('%Y-%m-%d %H:%M:%S') }}|{{ when.strftime('%d.%m.%y %I:%M %p %j %a %A %b %B %U %W %w %f %z %%') }}|{{ when.isoformat() }}|{{ when.weekday() }}|{{ when.isoweekday() }}|{{ when.strftime('%G-W%V-%u') }}
{{ when }}
{{ words | groupby('0') | length }}|{% for k, g in users | groupby('active') %}{{ k }}:{{ g | map(attribute='name') | join('+') }};{% endfor %}
{% for b in [1, 2, 3, 4, 5] | batch(2) %}{{ b | join('-') }} {% endfor %}|{% for b in [1, 2, 3] | batch(2, 'x') %}{{ b | list }}{% endfor %}
{{ user | items | list | length }}|{{ 'abc' | list }}|{{ user | list }}|{{ 'x' | string | length }}
{{ [1, 2, 3] | sum(start=10) }}|{{ [[1], [2]] | sum(start=[]) }}|{{ users | map(attribute='nope', default='?') | join }}
{{ users | max(attribute='age') | attr('name') | default('dict') }}|{{ (users | max(attribute='age')).name }}|{{ (users | min(attribute='age')).name }}
{{ (1, 2) | list }}|{{ [1, 2] | length + 1 }}|{{ 10 - items | length }}|{{ items | join(',') | length }}
{{ n if n is odd else 'even' }}|{{ (n + 1) is even }}|{{ 'a' in ['a'] and 'b' not in ['a'] }}
{{ {'k': [1, {'z': 2}]}['k'][1].z }}|{{ [[1, 2], [3, 4]][1][0] }}|{{ {'a': 1}.get('b', {}).get('c', 'deep') }}
{{ dict(a=1, b='x') }}|{{ dict({'a': 1}, c=3) }}
{{ 'abc'[1] }}|{{ 'abc'[-1] }}|{{ 'abc'[5] | default('out') }}|{{ items[9] | default('gone') }}
{{ 'A' ~ ('b' if yes else 'c') ~ 'D' }}|{{ ('x' ~ 1) | upper }}
{{ 1 if yes else 2 + 3 }}|{{ (1 if no else 2) + 3 }}|{{ 1 + 2 * 3 - 4 / 2 }}|{{ (1 + 2) * 3 }}|{{ 7 // 2 * 2 }}|{{ 2 * 3 % 4 }}
{{ 5 == 5 and 6 != 5 or false }}|{{ 1 in [1] == true }}
{{ text | upper | lower | title | length }}|{{ text.split() | map('first') | join }}|{{ text.split() | map('length') | max }}
{{ "a" is in "abc" }}|{{ [] is sequence }}|{{ 5 is string }}|{{ 'x' is number }}|{{ none is not defined }}|{{ name is callable }}
{{ 0.1 }}|{{ 100.0 }}|{{ 1e100 }}|{{ 3.0 * 2 }}|{{ 10 ** 3 }}|{{ 2.0 ** 3 }}|{{ 1 / 3 }}|{{ 22 / 7 | round(3) }}
{{ big | round(1) }}|{{ '%.1f' | format(big) }}|{{ '{:,.2f}'.format(big) }}|{{ '%s' | format(1.0) }}|{{ '%g' | format(0.00001) }}|{{ '%5.1f|' | format(2.25) }}
{{ number_text | int + 1 }}|{{ float_text | float * 2 }}|{{ number_text ~ 1 }}|{{ number_text * 2 }}
{%- for line in multi.split('\\n') %}
{{ loop.index }}: {{ line }}
{%- endfor %}
{{ words | map('replace', 'a', 'o') | list }}|{{ words | map('truncate', 3, true, '') | list }}|{{ ['1', '2'] | map('int') | sum }}
{{ users | map(attribute='name') | map('upper') | sort | join(',') }}|{{ users | selectattr('age', 'ge', 30) | map(attribute='age') | list }}
{{ items | select('divisibleby', 2) | first }}|{{ items | sort | first }}|{{ [] | first | default('none') }}|{{ [] | max | default('m') }}
{{ unicode | upper | length }}|{{ unicode }}|{{ [unicode] }}|{{ 'é' * 2 }}|{{ '世界'[0] }}
{% if user.age is defined and user.age > 40 and 'x' in user.tags %}ok{% endif %}|{% if missing is defined and missing.x %}a{% else %}b{% endif %}
{% set total = items | sum %}{% set mean = total / items | length %}{{ mean }}|{{ '%.3f' % mean }}
SELECT * FROM t WHERE id IN ({% for i in items %}{{ i }}{{ ', ' if not loop.last }}{% endfor %}) AND name = '{{ user.name }}'
{% if loop is defined %}in{% else %}out{% endif %}|{% for i in [1] %}{% if loop is defined %}in{% endif %}{% endfor %}
{{ ' ' | trim | length }}|{{ 'x' | default('y') }}|{{ false | default('y') }}|{{ 0 | default('y', true) }}
{{ true and 1 }}|{{ 1 and 0 or 3 }}|{{ none or 0 }}|{{ '' and 1 }}|
{{ 'abc' > 'abd' }}|{{ 'B' < 'a' }}|{{ 2.0 == 2 }}|{{ '1' == 1 }}|{{ [1, 2] == [1, 2] }}|{{ {'a': 1} == {'a': 1.0} }}|{{ (1, 2) == [1, 2] }}
"""
ERRORS = """
{{ missing }}
{{ missing.attr }}
{{ user.nope }}
{{ user.nope.deeper }}
{{ items[9] }}
{{ missing + 1 }}
{{ missing | upper }}
{% if missing %}x{% endif %}
{% for i in missing %}x{% endfor %}
{{ 1 / 0 }}
{{ 'a' + 1 }}
{{ 1 < 'a' }}
{{ n.foo() }}
{{ 'x' | nofilter }}
{{ 'x' is notest }}
{{ unclosed
{% if true %}never closed
{% for %}{% endfor %}
{% endfor %}
{{ }}
{{ 1 + }}
{{ [1, 2 }}
{% unknown %}
{{ 'unterminated }}
{{ nothing.x }}
{{ n is divisibleby 0 }}
{{ items | sort(attribute='x') }}
{{ not missing }}
{{ missing == 1 }}
{{ 'a' in missing }}
{{ '%d' % 'x' }}
{{ nothing + 1 }}
{{ for }}
{% set = 3 %}
{{ n[0][1] }}
{{ range() }}
"""


def environment():
    env = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined, extensions=["jinja2.ext.do"])
    return env


def split(block):
    """A template a line; one that opens a comment or loop without its end goes on below."""
    cases, pending = [], ""
    for line in block.strip("\n").split("\n"):
        pending = pending + "\n" + line if pending else line
        open_tags = pending.count("{% for") + pending.count("{%- for") - pending.count("endfor") if block is TEMPLATES else 0
        if block is TEMPLATES and (pending.count("{#") > pending.count("#}") or (open_tags > 0 and "raw" not in pending)):
            continue
        cases.append(pending.replace("\\\\", "\\"))
        pending = ""
    return cases


def answers():
    env, out = environment(), []
    for template in split(TEMPLATES):
        out.append({"template": template, "expect": env.from_string(template).render(CONTEXT)})
        # Each piece between bars alone, too: a mistake shows where it is.
        if "{%" not in template and "|{{" in template:
            for piece in template.replace("|{{", "\0{{").split("\0"):
                out.append({"template": piece, "expect": env.from_string(piece).render(CONTEXT)})
    for template in split(ERRORS):
        try:
            text = env.from_string(template).render(CONTEXT)
        except Exception:  # whatever Python says, ours must refuse as well
            out.append({"template": template, "error": True})
        else:
            raise SystemExit(f"no error from Python: {template!r} -> {text!r}")
    return out


def main():
    context = {**CONTEXT, "when": {"$datetime_us": int(WHEN.timestamp() * 1_000_000)}}
    made = {"jinja2": jinja2.__version__, "context": context, "cases": answers()}
    text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    if "--write" in sys.argv:
        CASES.write_text(text)
    elif {**json.loads(CASES.read_text()), "jinja2": ""} != {**made, "jinja2": ""}:
        raise SystemExit(f"{CASES.name} does not say what Jinja2 {jinja2.__version__} says: run with --write and look at the difference")
    print(f"{len(made['cases'])} templates, Jinja2 {jinja2.__version__}")


if __name__ == "__main__":
    main()
