"""All the small wrong changes that could be made to src/.

They are found by what the code looks like: comments and strings are blanked
out first, and pgindent has seen to the rest.
"""
import hashlib
import re
import signal
from collections import Counter, namedtuple
from pathlib import Path

# text in place of what is between start and end; line is the first of these
Change = namedtuple("Change", "name file line in_function kind start end text")

WIPES = re.compile(r"explicit_bzero$|Wipe")
CHECKS = re.compile(r"Require|Refuse|Prevent|Check|Validate|Lock|Hold|Wait|Raise|Begin")

BLANKED = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DIRECTIVE = re.compile(r"^#(?:.*\\\n)*.*", re.M)
DEFINE = re.compile(r"^#define (\w+)[ \t]+[^\n\\]*\d[^\n\\]*$", re.M)
FUNCTION = re.compile(r"^(?:SILENT_\w+\((\w+)\)|(\w+)\(.*(?:\n[\t ].*)*)\n\{$", re.M)
TABLE = re.compile(r"(\w+)(?:\[[^\n]*\])* = \{$", re.M)
NUMBER = re.compile(r"(?<![\w.])(0[xX][0-9A-Fa-f]+|\d+)(?![\w.])")
CALL = re.compile(r"^\t+(?:\(void\) )?(\w+)\(", re.M)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def closing(code, opening):
    """Where the parenthesis is closed that is opened there."""
    depth = 0
    for i in range(opening, len(code)):
        depth += {"(": 1, ")": -1}.get(code[i], 0)
        if depth == 0:
            return i
    raise ValueError("unbalanced")


class Source:
    """A file of src/, and what can be changed in it."""

    def __init__(self, root, path, defined):
        self.file = str(path.relative_to(root))
        self.text = path.read_text()
        self.with_directives = BLANKED.sub(blank, self.text)
        self.code = DIRECTIVE.sub(blank, self.with_directives)
        self.defined = defined
        self.places = sorted(
            [(m.start(), m.group(1) or m.group(2)) for m in FUNCTION.finditer(self.code)]
            + [(m.start(), m.group(1)) for m in TABLE.finditer(self.code) if not self.is_in_function(m.start())]
            + [(m.start(), m.group(1)) for m in DEFINE.finditer(self.with_directives)])
        self.found = []

    def place(self, offset):
        """The function, or the table, that this is in."""
        return [name for start, name in [(0, "file")] + self.places if start <= offset][-1]

    def is_in_function(self, offset):
        """Whether this is between the braces of a function."""
        return self.code.rfind("\n{\n", 0, offset) > self.code.rfind("\n}", 0, offset)

    def add(self, kind, start, end, text):
        """What is left out leaves its lines, so that those after it keep their numbers."""
        text += "\n" * (self.text.count("\n", start, end) - text.count("\n"))
        self.found.append((start, kind, end, text))

    def tokens(self, kind, pattern, replacement):
        for m in re.finditer(pattern, self.code):
            if self.is_in_function(m.start()):
                self.add(kind, m.start(), m.end(), replacement(m) if callable(replacement) else replacement)

    def conditions(self):
        """Negated; and an error that is never raised, nor anything else done about it."""
        for m in re.finditer(r"\b(if|while) \(", self.code):
            end = closing(self.code, m.end() - 1)
            inner = self.text[m.end():end]
            self.add("condition", m.end(), end, f"!({inner})")
            if m.group(1) == "if" and re.match(r"\)\s*(\{\s*)?(ereport|return (NULL|false|Refuse)|Raise|ParameterError|AddProblem)",
                                              self.code[end:]):
                self.add("check", m.end(), end, f"false && ({inner})")

    def calls(self):
        """Left out, where they are statements of their own."""
        for m in CALL.finditer(self.code):
            end = closing(self.code, m.end() - 1)
            before = self.code[:m.start()].rstrip()
            if self.code[end + 1] != ";" or not re.search(r"[;{})]$|\belse$", before):
                continue
            name = m.group(1)
            start = m.start() + len(m.group()) - len(m.group().lstrip("\t"))
            if WIPES.match(name):
                kind = "wipe"
            elif name not in self.defined and not CHECKS.match(name):
                continue
            else:
                kind = "check" if CHECKS.match(name) else "call"
            self.add(kind, start, end + 1, "(void) 0")

    def returns(self):
        """A constant, of functions that return a truth or a number."""
        for m in re.finditer(r"\breturn ([^;]+);", self.code):
            place = next((s for s, _ in reversed(self.places) if s < m.start()), 0)
            of = self.code[:place].rstrip().rsplit("\n", 1)[-1]
            expression = self.text[m.start(1):m.end(1)]
            for constant in ("true", "false") if re.search(r"\bbool$", of) else \
                    ("0",) if re.search(r"\b(u?int(32|64)?|Size)$", of) else ():
                if expression != constant:
                    self.add("return", m.start(1), m.end(1), constant)

    def constants(self):
        def add(match, offset=0):
            text = match.group()
            value = int(text, 16) + 1 if text[:2].lower() == "0x" else int(text) + 1
            self.add("constant", offset + match.start(), offset + match.end(),
                     f"0x{value:X}" if text[:2].lower() == "0x" else str(value))

        for m in NUMBER.finditer(self.code):
            # what is added or left out is a bound, and a Datum of 0 is none
            if not (m.group() == "1" and re.search(r"[+-] $", self.code[:m.start()])
                    or re.search(r"\(Datum\) $", self.code[:m.start()])):
                add(m)
        for m in DEFINE.finditer(self.with_directives):
            for number in NUMBER.finditer(m.group()):
                add(number, m.start())
        for m in re.finditer(r"\b(true|false)\b", self.code):
            self.add("constant", m.start(), m.end(), "false" if m.group() == "true" else "true")

    def errcodes(self):
        for m in re.finditer(r"\bERRCODE_(?!TO_)\w+", self.code):
            self.add("errcode", m.start(), m.end(), "ERRCODE_DATA_EXCEPTION"
                     if m.group() == "ERRCODE_INTERNAL_ERROR" else "ERRCODE_INTERNAL_ERROR")

    def changes(self):
        self.conditions()
        self.tokens("comparison", r"[!=]=(?!=)", lambda m: "==" if m.group() == "!=" else "!=")
        self.tokens("bound", r"(?<= )[<>]=?(?= )", lambda m: m.group()[0] + ("" if "=" in m.group() else "="))
        self.tokens("bound", r" [+-] 1\b", "")
        self.tokens("logic", r"&&|\|\|", lambda m: "||" if m.group() == "&&" else "&&")
        self.calls()
        self.returns()
        self.constants()
        self.errcodes()
        numbers = Counter()
        for start, kind, end, text in sorted(self.found):
            # an assertion is only there where it is compiled in
            if re.search(r"\bAssert\([^;]*$", self.code[:start]):
                continue
            where = (self.place(start), kind)
            numbers[where] += 1
            yield Change(f"{self.file}:{where[0]}:{kind}:{numbers[where]}", self.file,
                         self.text.count("\n", 0, start) + 1, self.is_in_function(start), kind, start, end, text)


def all_changes(src):
    """Of all files below src/, in order."""
    paths = sorted(src.glob("**/*.[ch]"))
    defined = {m.group(1) or m.group(2) for path in paths for m in FUNCTION.finditer(path.read_text())}
    return [change for path in paths for change in Source(src, path, defined).changes()]


def order(changes, seed):
    """In the order in which they are to be drawn: the kinds in turn, and of each
    kind those of the files that have had the fewest.  It depends on names alone, so
    that a change of the code changes little."""
    rank = {c: hashlib.sha256(f"{seed} {c.name}".encode()).digest() for c in changes}
    left = {kind: [c for c in changes if c.kind == kind] for kind in sorted({c.kind for c in changes})}
    drawn = Counter()
    while any(left.values()):
        for kind in left:
            if left[kind]:
                change = min(left[kind], key=lambda c: (drawn[c.file], rank[c]))
                left[kind].remove(change)
                # whoever asks says whether it counts
                if (yield change):
                    drawn[change.file] += 1


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for change in all_changes(Path(__file__).resolve().parent.parent.parent / "src"):
        print(change.name)
