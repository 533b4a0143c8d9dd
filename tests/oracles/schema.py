"""Holds what `ingestd schema` prints against what `ingestd check` says, with somebody else's validator (the PyPI package jsonschema).

    python3 -m venv target/oracles && target/oracles/bin/pip install -r tests/oracles/requirements.txt
    cargo build && target/oracles/bin/python tests/oracles/schema.py

Both schemas must be good draft-07. Every example must be accepted. Of every bad fixture, each error that its golden text tells must
be one of the schema at the same line and column, or be listed in `schema.txt` with the reason why a schema cannot tell it; an entry
there that is not needed any more is a fault, and so is an error of the schema that `check` does not know. The same is asked of
many values of every field, and of good and bad settings, with `check` itself for the answer.

Exit 1 on any disagreement that is not listed.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import yaml
    from jsonschema import Draft7Validator
except ImportError as missing:
    sys.exit(f"{missing}: see the head of this file for what to install")

# A fixture has a number of ten thousand digits, which is good YAML.
if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
BAD = ROOT / "tests/fixtures/bad"

# The core schema of YAML 1.2, which is what editors go by. PyYAML's own types are those of YAML 1.1, where `18:00` is 1080.
CORE = [
    (r"|~|null|Null|NULL", lambda text: None),
    (r"true|True|TRUE", lambda text: True),
    (r"false|False|FALSE", lambda text: False),
    (r"[-+]?[0-9]+", int),
    (r"0o[0-7]+", lambda text: int(text[2:], 8)),
    (r"0x[0-9a-fA-F]+", lambda text: int(text[2:], 16)),
    (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", float),
]

# Fields that do not go together, and the keys of a place of a secret.
GROUPS = [{"at", "once", "cron", "every", "after"}, {"for", "to"}]
SECRET = {"env", "file", "credential"}


class Unreadable(Exception):
    """It is no YAML for an editor either, which says so before any schema is asked."""


class Document:
    """A text as an editor sees it: values of YAML 1.2, and where each key and value stands."""

    def __init__(self, text):
        self.values, self.maps = {}, {}
        try:
            self.root = yaml.compose(text.replace("\ufeff", "", 1))
            self.value = self.read(self.root) if self.root else None
        except (yaml.YAMLError, RecursionError) as error:
            # Nor does an editor follow a list in a list a thousand times over.
            raise Unreadable(str(error)) from error

    def read(self, node):
        if id(node) not in self.values:
            self.values[id(node)] = self.convert(node)
        return self.values[id(node)]

    def convert(self, node):
        if node.tag.startswith("!"):
            raise yaml.YAMLError(f"unresolved tag {node.tag}")
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            entries = self.maps[id(node)] = self.entries(node)
            return {name: self.read(value) for name, (_, value) in entries.items()}
        if node.style is None:
            for pattern, make in CORE:
                if re.fullmatch(pattern, node.value):
                    return make(node.value)
        return node.value

    def entries(self, node):
        own, merged = {}, {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError("a key that is no scalar")
            if key.value == "<<":
                for item in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if not isinstance(item, yaml.MappingNode):
                        raise yaml.YAMLError("`<<` of what is no mapping")
                    merged = self.entries(item) | merged
            elif key.value in own:
                raise yaml.YAMLError(f"`{key.value}` twice")
            else:
                own[key.value] = (key, value)
        return merged | own

    def walk(self, path):
        """The key and the value at a path; the key of an item of a list is the item."""
        key = value = self.root
        for step in path:
            key, value = self.maps[id(value)][step] if isinstance(step, str) else (value.value[step],) * 2
        return key, value

    def places(self, error):
        """Every place that an error of the schema is about, with those of its alternatives."""
        path = list(error.absolute_path)
        _, value = self.walk(path)
        nodes = list(self.walk(path))
        schema_path = list(error.absolute_schema_path)
        entries = self.maps.get(id(value), {})
        if "propertyNames" in schema_path:
            nodes = [entries[error.instance][0]] if error.instance in entries else nodes
        if error.validator == "additionalProperties" and entries:
            nodes = [entries[name][0] for name in entries if name not in error.schema.get("properties", {})]
        named = None
        if "dependencies" in schema_path:
            # Of two keys that do not go together `check` blames the second; jsonschema leaves a refused one out of the path.
            named = schema_path[schema_path.index("dependencies") + 1]
            group = next((group for group in GROUPS if named in group), {named})
            nodes += [entries[name][0] for name in group if name in entries]
        if path and path[-1] in SECRET:
            # Of what says where a secret is kept, `check` blames the whole.
            nodes.append(self.walk(path[:-1])[1])
        elif isinstance(error.schema, dict) and SECRET <= set(error.schema.get("properties", {})) or named in SECRET:
            nodes.append(value)
        found = {(node.start_mark.line + 1, node.start_mark.column + 1) for node in nodes if node}
        if isinstance(value, yaml.ScalarNode) and not value.value and path:
            # A value that is not there stands behind the colon.
            key = self.walk(path)[0]
            found.add((key.end_mark.line + 1, key.end_mark.column + 1))
        return found.union(*(self.places(inner) for inner in error.context))


class Judge:
    def __init__(self, program):
        self.program = program
        self.validators = {}
        for of in ("schedule", "config"):
            schema = json.loads(self.run("schema", of).stdout)
            Draft7Validator.check_schema(schema)
            self.validators[of] = Draft7Validator(schema)
        self.faults, self.needed, self.compared = [], set(), 0
        lines = (HERE / "schema.txt").read_text().splitlines()
        rows = [line.split(" -- ") for line in lines if line and not line.startswith("#")]
        assert all(len(row) == 2 and row[1].strip() for row in rows), "an entry of schema.txt without a reason"
        self.listed = {name for name, _ in rows}
        assert len(self.listed) == len(rows), "an entry of schema.txt twice"

    def run(self, *arguments):
        return subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT)

    def compare(self, name, of, text, told):
        """`told`: (code, line, column) of each error of `check`."""
        try:
            document = Document(text) if isinstance(text, str) else Document(text.decode("utf-8"))
        except (Unreadable, UnicodeDecodeError):
            self.compared += len(told)
            if not told:
                self.faults.append(f"{name}: no YAML for the oracle, and good for `check`")
            return
        errors = [(error, document.places(error)) for error in self.validators[of].iter_errors(document.value)]
        refused = set().union(*(places for _, places in errors))
        for code, *place in told:
            self.compared += 1
            if tuple(place) not in refused and place != [None, None]:
                self.differ(f"{name}:{place[0]} {code}", f"`check` refuses column {place[1]}, and the schema does not")
            elif place == [None, None] and not errors:
                self.differ(f"{name} {code}", "`check` refuses it, and the schema does not")
        places_told = {tuple(place) for _, *place in told}
        for error, places in errors:
            if not places & places_told and (None, None) not in places_told:
                where = ", ".join(f"{line}:{column}" for line, column in sorted(places))
                line = max(line for line, _ in places)
                self.differ(f"{name}:{line} +schema", f"the schema refuses {where}, and `check` does not: {error.message[:100]}")

    def differ(self, name, what):
        self.needed.add(name)
        if name not in self.listed:
            self.faults.append(f"{name}: {what}")


def golden(path):
    """The errors of a golden text by the name of their file: (code, line, column)."""
    told, code = {}, None
    for line in path.read_text().splitlines():
        if head := re.match(r"(error|warning)\[([a-z0-9-]+)\]: ", line):
            code = head[2] if head[1] == "error" else None
        elif code and (place := re.match(r" *--> (.+?)(?::(\d+):(\d+))?$", line)):
            number = lambda text: int(text) if text else None
            told.setdefault(place[1], []).append((code, number(place[2]), number(place[3])))
            code = None
    return told


def fixtures(judge):
    count = 0
    for text in sorted(BAD.glob("*.txt")):
        told = golden(text)
        whole = text.with_suffix("")
        files = sorted(whole.glob("[!.]*.yaml")) if whole.is_dir() else [text.with_suffix(".yaml")]
        for file in files:
            judge.compare(str(file.relative_to(BAD)), "schedule", file.read_bytes(), told.pop(str(file.relative_to(ROOT)), []))
            count += 1
        for name, errors in told.items():
            for code, *_ in errors:
                judge.differ(f"{pathlib.Path(name).relative_to('tests/fixtures/bad')} {code}", "it is about no file")
    assert count >= 80, f"only {count} fixtures"
    return count


def examples(judge):
    files = [(path, "schedule") for path in sorted((ROOT / "schedules").glob("*.yaml"))]
    files += [(ROOT / "systemd/ingestd.yaml", "config"), (ROOT / "src/cli/demo/schedule.yaml", "schedule")]
    assert len(files) >= 8, f"only {len(files)} examples"
    for path, of in files:
        # The demo's schedule has its times to come.
        text = re.sub(r"<time .*?>", "18:00:00", path.read_text())
        text = re.sub(r"<([+-].*?|end)>", "2027-01-16 20:00:00", text)
        judge.compare(str(path.relative_to(ROOT)), of, text, [])
    return len(files)


SETTINGS = """account: {region: ap-singapore}
apps: {main: {sdk_app_id: 1400000001, secret_key: {env: KEY}}}
"""


def told_by_check(judge, folder, settings, file):
    (folder / "ingestd.yaml").write_text(settings)
    (folder / "schedules").mkdir(exist_ok=True)
    ran = judge.run("--config", folder / "ingestd.yaml", "check", "--format", "json", folder / "schedules")
    rows = [json.loads(row) for row in ran.stdout.splitlines()]
    rows = [row for row in rows if row["severity"] == "error" and row["file"] == str(folder / file)]
    return [(row["code"], row["line"], row["column"]) for row in rows]


# What a field needs beside it, where that is no date.
CARRIERS = {"at": {}, "once": {}, "cron": {}, "every": {}, "after": {}, "days": {"at": "'18:00'"}, "weeks": {"at": "'18:00'", "days": "sat", "from": "2026-11-28"}, "between": {"every": "1h"}}


def values(judge, folder):
    """Every value of `schema.values.txt` in a job of its own."""
    cases = (HERE / "schema.values.txt").read_text().splitlines()
    cases = [case.split(": ", 1) for case in cases if case and not case.startswith("#")]
    unknown = {name for name, _ in cases} ^ set(judge.validators["schedule"].schema["definitions"]["fields"]["properties"])
    assert not unknown, f"fields without values here, or values without a field: {unknown}"
    for field, value in cases:
        job = {"room": "lobby", "stream": "https://h/a.mp4"} | CARRIERS.get(field, {"once": "2030-01-16 18:00"}) | {"for": "1s"}
        if field == "to":
            del job["for"]
        job[field] = value
        text = "timezone: UTC\ncalendars: {holidays: 2027-01-01}\njobs:\n  a:\n"
        text += "".join(f"    {name}: {written}\n" for name, written in job.items())
        if field == "after":
            text += "  b: {at: '18:00', for: 1h, room: 7, stream: https://h/b.mp4}\n"
        (folder / "schedules").mkdir(exist_ok=True)
        (folder / "schedules/a.yaml").write_text(text)
        told = told_by_check(judge, folder, SETTINGS, "schedules/a.yaml")
        judge.compare(f"{field}: {value}", "schedule", text, told)
    return len(cases)


def settings(judge, folder):
    (folder / "schedules").mkdir(exist_ok=True)
    (folder / "schedules/a.yaml").write_text("jobs: {}\n")
    cases = (HERE / "schema.settings.yaml").read_text().split("--- # ")[1:]
    for case in cases:
        name, text = case.split("\n", 1)
        judge.compare(f"settings, {name}", "config", text, told_by_check(judge, folder, text, "ingestd.yaml"))
    return len(cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "target/debug/ingestd", type=pathlib.Path)
    judge = Judge(parser.parse_args().program.resolve())
    counts = {"examples": examples(judge), "bad fixtures": fixtures(judge)}
    with tempfile.TemporaryDirectory() as name:
        counts["values"] = values(judge, pathlib.Path(name))
        counts["settings"] = settings(judge, pathlib.Path(name))
    judge.faults += [f"{name}: listed in schema.txt, and not so any more" for name in sorted(judge.listed - judge.needed)]
    if judge.faults:
        sys.exit("\n".join(judge.faults))
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    print(f"{told}: {judge.compared} errors of `check`, of which the schema tells all but the {len(judge.listed)} kinds listed")


if __name__ == "__main__":
    main()
