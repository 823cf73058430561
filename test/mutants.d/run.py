"""Draws changes, makes each, and runs the tests that reach it: see test/mutants,
which calls this.

A folder for each worker has a copy of PostgreSQL, one of the checkout, and a
cluster; another one is for compiling what is drawn.
"""
import argparse
import difflib
import hashlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "test"))

from changes import all_changes, order
from coverage import read_counts

COVERAGE_FLAGS = ["COPT=--coverage -O0", "SHLIB_LINK=-lgcov", "with_llvm=no"]
# without line numbers, so that what is the same is the same
FLAGS = ["COPT=-g0", "with_llvm=no"]

SUITES = {
    "sql": ("installcheck-sql", "REGRESS={}", "sql"),
    "specs": ("installcheck-isolation", "ISOLATION={}", "spec"),
    "t": ("installcheck-tap", "PROVE_TESTS=test/t/{}.pl", "pl"),
}


class Hang(Exception):
    pass


class Build:
    """A copy of the checkout that is built."""

    def __init__(self, folder, bin):
        self.folder = Path(folder)
        self.src = self.folder / "src"
        self.bin = self.folder / bin
        self.env = dict(os.environ, HOME=str(folder), TMPDIR=str(folder), PATH=f"{self.bin}:{os.environ['PATH']}",
                        PGHOST=str(folder), PGPORT="5432", PGUSER="postgres", PGDATABASE="postgres")
        self.pristine = self.folder / "pristine"
        self.flags = FLAGS

    def run(self, *command, timeout=None):
        process = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise Hang from None
        return process.returncode == 0, output.decode(errors="replace")

    def make(self, *targets, timeout=None):
        return self.run("make", "-s", "-C", str(self.src), f"PG_CONFIG={self.bin}/pg_config", *self.flags, *targets,
                        timeout=timeout)

    def must(self, result):
        if not result[0]:
            sys.exit(result[1])

    def prepare(self, flags):
        self.flags = flags
        self.must(self.make("all", "test_units"))
        shutil.rmtree(self.pristine, ignore_errors=True)
        shutil.copytree(self.src, self.pristine, ignore=shutil.ignore_patterns("node_modules"), symlinks=True)

    def objects(self, change):
        """What has to be compiled again, and how."""
        return [Path("src") / (change.file[:-1] + "o")] if change.file.endswith(".c") else \
            [path.relative_to(self.src) for path in self.src.glob("src/**/*.o")]

    def apply(self, change):
        path = self.src / "src" / change.file
        text = path.read_text()
        path.unlink()
        path.write_text(text[:change.start] + change.text + text[change.end:])

    def undo(self, change):
        """As it was built, with the times that tell make so."""
        for path in [Path("src") / change.file, *(path.relative_to(self.pristine)
                                                 for end in ("o", "so") for path in self.pristine.glob(f"**/*.{end}"))]:
            (self.src / path).unlink(missing_ok=True)
            shutil.copy2(self.pristine / path, self.src / path)

    def what_is_wrong_with(self, change):
        """Why a change doesn't count, or None."""
        objects = self.objects(change)
        try:
            self.apply(change)
            if not self.make(*map(str, objects))[0]:
                return "doesn't compile"
            if all((self.src / o).read_bytes() == (self.pristine / o).read_bytes() for o in objects):
                return "compiles to the same"
            return None
        finally:
            self.undo(change)


class Worker(Build):
    """And a cluster in which the tests are run."""

    def prepare(self, flags):
        super().prepare(flags)
        self.must(self.make("install"))
        if not (self.folder / "initial").exists():
            self.must(self.run(f"{self.bin}/initdb", "-D", f"{self.folder}/initial", "-U", "postgres", "-A", "trust",
                               "--locale=C.UTF-8", "-E", "UTF8"))

    def processes(self):
        """Those that run in the folder, the clusters of TAP tests too."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if Path(os.readlink(process / "cwd")).is_relative_to(self.folder):
                    yield int(process.name)
            except OSError:
                pass

    def stop(self, mode="immediate"):
        if (self.folder / "data" / "postmaster.pid").exists():
            self.run(f"{self.bin}/pg_ctl", "-D", f"{self.folder}/data", "-m", mode, "-w", "stop")
        while running := list(self.processes()):
            for process in running:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)

    def start(self):
        """Every time from where initdb left it, whatever the last test has done."""
        for path in (self.folder / "data", self.src / "tmp_check"):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.folder / "initial", self.folder / "data", symlinks=True)
        self.must(self.run(f"{self.bin}/pg_ctl", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-w", "start", "-o",
                           f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off -c max_connections=50"))

    def passes(self, test, timeout=None):
        suite, name = test.split("/")
        target, variable, _ = SUITES[suite]
        return self.make(target, variable.format(name), timeout=timeout)

    def reach(self, test):
        """What a test executes, and how long it takes."""
        for path in self.src.glob("**/*.gcda"):
            path.unlink()
        self.start()
        began = time.monotonic()
        passed, output = self.passes(test)
        seconds = time.monotonic() - began
        # backends write what they counted when they end
        self.stop("fast")
        if not passed:
            print(output, *(path.read_text(errors="replace")[-4000:] for path in self.src.glob("tmp_check/log/regress_log_*")))
        return {"passed": passed, "seconds": seconds, "counts": read_counts(self.src)}

    def install(self):
        library = Path(self.run(f"{self.bin}/pg_config", "--pkglibdir")[1].strip()) / "dbt_sources.so"
        library.unlink()
        shutil.copy(self.src / "dbt_sources.so", library)

    def passes_by_itself(self, test):
        try:
            self.install()
            self.start()
            return self.passes(test)[0]
        finally:
            self.stop()

    def survives(self, change, tests):
        """The test that fails, and in what way; or None."""
        try:
            self.apply(change)
            self.must(self.make("all"))
            self.install()
            self.start()
            for test, seconds in tests:
                try:
                    # a machine can be as slow as that, but not a test
                    if not self.passes(test, timeout=60 + 10 * min(seconds, 60))[0]:
                        return f"killed by {test}"
                except Hang:
                    return f"killed by {test}, which hangs"
            return None
        finally:
            self.stop()
            self.undo(change)

    def passes_sanitizers(self, change=None):
        """test/run has them in CI: they see what is read behind an end."""
        try:
            if change:
                self.apply(change)
            return self.run(f"{self.src}/test/run", "--pg-config", f"{self.bin}/pg_config", "sanitize")[0]
        finally:
            if change:
                self.undo(change)


def test_files(test):
    suite, name = test.split("/")
    return [ROOT / "test" / suite / f"{name}.{SUITES[suite][2]}", ROOT / "expected" / f"{name}.out"]


def hash_of(paths):
    digest = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file():
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def tests_of(names):
    """Of folders, and by name."""
    tests = {f"{suite}/{path.stem}" for suite, (_, _, end) in SUITES.items() for path in (ROOT / "test" / suite).glob(f"*.{end}")}
    for name in names:
        if name not in SUITES and name not in tests:
            sys.exit(f"there is no test of the name {name}")
    return sorted(test for test in tests if test in names or test.split("/")[0] in names)


class State:
    """What each test reaches and what killed which change, for as long as neither
    src/ nor the test is changed."""

    def __init__(self, folder, tests):
        self.folder = Path(folder)
        self.src = hash_of([*ROOT.glob("src/**/*"), *ROOT.glob("sql/*"), *ROOT.glob("test/modules/**/*")])
        self.tests = {test: hash_of(test_files(test)) for test in tests}

    def path(self, kind, name, test):
        return self.folder / (hashlib.sha256(f"{kind} {name} {self.src} {self.tests[test]}".encode()).hexdigest() + ".json")

    def get(self, kind, name, test):
        path = self.path(kind, name, test)
        return json.loads(path.read_text()) if path.exists() else None

    def put(self, kind, name, test, value):
        path = self.path(kind, name, test)
        path.with_suffix(".tmp").write_text(json.dumps(value))
        path.with_suffix(".tmp").rename(path)


class Progress:
    """A line that moves on a terminal; what is final goes above it."""

    def __init__(self):
        self.moves = sys.stdout.isatty()
        self.lock = threading.Lock()

    def show(self, text):
        with self.lock:
            if self.moves:
                print(f"\r\033[K{text[:os.get_terminal_size().columns - 1]}", end="", flush=True)

    def say(self, text):
        with self.lock:
            print(("\r\033[K" if self.moves else "") + text, flush=True)


def in_parallel(workers, jobs, work):
    """work(worker, job) for each job, in order of the queue."""
    failures = []

    def loop(worker):
        try:
            while (job := jobs.get()) is not None:
                work(worker, job)
        except BaseException as failure:
            failures.append(failure)
        finally:
            jobs.put(None)

    threads = [threading.Thread(target=loop, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def queue_of(items):
    jobs = queue.SimpleQueue()
    for item in items:
        jobs.put(item)
    jobs.put(None)
    return jobs


def find_reach(workers, state, count, progress):
    """What every test reaches.  A slow one is run for that only if there are more
    mutants than tests; if not, it is taken to reach everything."""
    reach = {test: state.get("reach", "", test) for test in state.tests}
    missing = [test for test in reach if reach[test] is None and (count > len(reach) or not test.startswith("t/"))]
    if missing:
        progress.say(f"# what {len(missing)} tests reach")
        in_parallel(workers, queue_of(workers), lambda _, worker: worker.prepare(COVERAGE_FLAGS))

        def work(worker, test):
            progress.show(f"{sum(r is not None for r in reach.values())}/{len(reach)} tests  {test}")
            reach[test] = worker.reach(test)
            if not reach[test]["passed"]:
                progress.say(f"# {test} fails by itself; once more")
                reach[test] = worker.reach(test)
            if reach[test]["passed"]:
                state.put("reach", "", test, reach[test])
                progress.say(f"# {test}: {reach[test]['seconds']:.1f} s")

        # the slow ones first
        in_parallel(workers, queue_of(sorted(missing, reverse=True)), work)
    for test in reach:
        if reach[test] is not None and not reach[test]["passed"]:
            sys.exit(f"{test} fails by itself")
    return {test: r and (r["seconds"], {file: {int(line): count for line, count in lines.items()}
                                       for file, lines in r["counts"].items()}) for test, r in reach.items()}


def tests_that_reach(change, reach):
    """With the seconds that each takes.  A line without code of its own is part of
    a statement that begins above, or of no function."""
    of_file = {test: r[1].get(change.file, {}) for test, r in reach.items() if r}
    known = {line for counts in of_file.values() for line in counts}
    above = [line for line in known if line <= change.line]
    lines = {max(above)} if change.in_function and above else known
    return [(test, r[0] if r else float("inf")) for test, r in reach.items()
            if not known or not r or any(of_file[test].get(line) for line in lines)]


def difference(src, change):
    old = (src / change.file).read_text()
    new = old[:change.start] + change.text + old[change.end:]
    return [line for line in difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
            if not line.startswith(("---", "+++", "@@"))]


def read_equivalent(path):
    """{(file, lines that are changed)}: of the changes that no test could see."""
    known = set()
    for block in path.read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        if lines:
            known.add((lines[0], content(line for line in lines[1:] if line.startswith(("-", "+")))))
    return known


def content(lines):
    return tuple(line[0] + " ".join(line[1:].split()) for line in lines)


def draw(build, order, count, drawn, skipped, progress):
    """Put count changes that count into the queue drawn."""
    known = read_equivalent(ROOT / "test/mutants.d/equivalent")
    found = 0
    counts = None
    try:
        while found < count:
            change = order.send(counts)
            lines = difference(build.src / "src", change)
            why = "is equivalent" if (change.file, content(lines)) in known else build.what_is_wrong_with(change)
            counts = why is None
            if counts:
                found += 1
                drawn.put(change)
            else:
                skipped[why].append(change.name)
                progress.show(f"{change.name} {why}")
    except StopIteration:
        pass
    finally:
        drawn.put(None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--tests", default=" ".join(SUITES))
    parser.add_argument("--worker", action="append")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()

    # with some of the tests only, what survives may be seen by the others
    some = options.tests != " ".join(SUITES)
    changes = all_changes(ROOT / "src")
    if options.names:
        by_name = {change.name: change for change in changes}
        for name in options.names:
            if name not in by_name:
                sys.exit(f"there is no mutant of the name {name}; --list tells which there are")
        changes = [by_name[name] for name in options.names]
        count = len(changes)
        in_order = (change for change in changes)
    else:
        print(f"seed {options.seed}", flush=True)
        count = options.count
        in_order = order(changes, options.seed)

    progress = Progress()
    state = State(options.state, tests_of(options.tests.split()))
    workers = [Worker(folder, options.bin) for folder in options.worker]
    build = Build(options.build, options.bin)
    results = {}
    last = {}
    sound = set()
    looking = threading.Lock()
    drawn = queue.SimpleQueue()
    skipped = defaultdict(list)
    try:
        reach = find_reach(workers, state, count, progress)
        in_parallel(workers, queue_of([build, *workers]), lambda _, of: of.prepare(FLAGS))
        drawing = ThreadPoolExecutor(1).submit(draw, build, in_order, count, drawn, skipped, progress)

        def work(worker, change):
            progress.show(f"{len(results)}/{count} mutants, "
                          f"{sum(r is None for r in results.values())} survived  {change.name}")
            began = time.monotonic()
            # the quick ones first, and of the others the one that has killed the last of the kind
            tests = sorted(tests_that_reach(change, reach),
                           key=lambda t: (t[0].startswith("t/"), t[0] != last.get(change.kind), t[1]))
            result = next((r for r in (state.get("killed", change.name, test) for test, _ in tests) if r), None)
            if result is None:
                result = worker.survives(change, tests)
                if result:
                    killer = result.split()[2].strip(",")
                    # one that wasn't run without a change yet
                    if reach[killer] is None and killer not in sound:
                        if not worker.passes_by_itself(killer):
                            sys.exit(f"{killer} fails by itself")
                        sound.add(killer)
                    state.put("killed", change.name, killer, result)
                    if killer.startswith("t/"):
                        last[change.kind] = killer
            if result is None and not some and not worker.passes_sanitizers(change):
                with looking:
                    if "sanitize" not in sound and not worker.passes_sanitizers():
                        sys.exit("test/run sanitize fails by itself")
                    sound.add("sanitize")
                result = "killed by sanitize"
            results[change.name] = result
            if result:
                progress.say(f"ok {len(results)} - {change.name} {result} ({time.monotonic() - began:.0f} s)")
            elif some:
                progress.say(f"ok {len(results)} - # skip {change.name} is left over for other tests")
            else:
                progress.say("\n".join([f"not ok {len(results)} - {change.name} survives all {len(tests)} tests that reach it, and the sanitizers",
                                        f"# src/{change.file}, line {change.line}",
                                        *("# " + line for line in difference(ROOT / "src", change)),
                                        f"# again: test/mutants {change.name}"]))

        in_parallel(workers, drawn, work)
        drawing.result()
    finally:
        for worker in workers:
            worker.stop()

    survivors = sorted(name for name, result in results.items() if result is None)
    killed = len(results) - len(survivors)
    progress.say(f"1..{len(results)}")
    for why, names in sorted(skipped.items()):
        print(f"# {len(names)} don't count, as each {why}:", *names, sep="\n#   ")
    if survivors:
        print("# survivors:", *survivors, sep="\n#   ")
    if results:
        print(f"{killed} of {len(results)} mutants killed, {100 * killed / len(results):.1f} %")
    sys.exit(0 if killed and (some or not survivors) else 1)


main()
