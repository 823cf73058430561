#!/usr/bin/env python3
"""What gcov tells of a build: test/coverage.py FOLDER prints how much of its src/
was reached, and the lines that weren't."""
import gzip
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path


def read_counts(folder):
    """How often each line of src/ was executed: {file: {line: count}}.  What is
    compiled into more than one library counts together."""
    src = Path(folder).resolve() / "src"
    counts = defaultdict(lambda: defaultdict(int))
    data = [str(path) for path in Path(folder).resolve().glob("**/*.gcda")]
    with tempfile.TemporaryDirectory() as results:
        if data:
            subprocess.run(["gcov", "--json-format", "--hash-filenames", *data], cwd=results,
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for result in Path(results).glob("*.gz"):
            with gzip.open(result) as unzipped:
                report = json.load(unzipped)
            for file in report["files"]:
                path = (Path(report["current_working_directory"]) / file["file"]).resolve()
                if not path.is_relative_to(src):
                    continue
                of_file = counts[str(path.relative_to(src))]
                for line in file["lines"]:
                    of_file[line["line_number"]] += line["count"]
    return counts


def ranges(numbers):
    """3, 4, 5, 9 as "3-5, 9"."""
    shown = []
    for number in numbers:
        if shown and shown[-1][1] == number - 1:
            shown[-1][1] = number
        else:
            shown.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in shown)


def report(folder):
    lines = reached = 0
    for file, counts in sorted(read_counts(folder).items()):
        missed = sorted(line for line, count in counts.items() if count == 0)
        lines += len(counts)
        reached += len(counts) - len(missed)
        print(f"{100 * (len(counts) - len(missed)) / len(counts):6.2f} % of {len(counts):4} lines  {file}"
              + (f": not {ranges(missed)}" if missed else ""))
    print(f"{100 * reached / lines:6.2f} % of {lines} lines")


if __name__ == "__main__":
    report(sys.argv[1])
