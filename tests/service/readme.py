"""The commands of the README, taken out of its text, so that what is tested is what stands there."""

import re

STEPS = "## Five minutes to a real room"
BY_HAND = "### Install by hand"


class Command:
    """A line that somebody types: as root after `#`, as an ordinary user after `$`."""

    def __init__(self, line):
        self.is_root = line.startswith("# ")
        # What follows two spaces and a hash is a remark to the reader.
        self.text = re.split(r"\s{2,}# ", line[2:])[0].strip()


def section(readme, heading):
    """The text below a heading, up to the next of any level."""
    text = readme[readme.index(heading) + len(heading):]
    end = re.search(r"^#{2,} ", text, re.M)
    return text[: end.start()] if end else text


def blocks(text, language):
    """The code blocks of a language, without the indent that a list gives them."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.S | re.M)
    return ["".join(line[len(indent):] for line in body.splitlines(True)) for indent, body in found]


def commands(text):
    """Each command of its console blocks."""
    lines = [line for block in blocks(text, "console") for line in block.splitlines()]
    wrong = [line for line in lines if line and not line.startswith(("# ", "$ "))]
    assert not wrong, f"expected a command in each line of a console block, found {wrong}"
    return [Command(line) for line in lines if line]
