"""One shared environment; `nox -s cpu` grades, `nox -s tests` tests the project."""

import sys
from pathlib import Path

import nox

nox.options.sessions = ["cpu"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "venv"

SHARED = ".venv"


def install(session: nox.Session) -> None:
    """The project and what it needs, at the versions the tests ran with; nothing when that was done before."""
    stamp = Path(SHARED, "torch-kata-installed")
    wanted = Path("pyproject.toml").read_text("utf-8") + Path("constraints.txt").read_text("utf-8") + sys.version
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    session.install("-e", ".[dev]", "-c", "constraints.txt")
    stamp.write_text(wanted, "utf-8")


def split(session: nox.Session, *own: str) -> tuple[list[str], list[str]]:
    """The session's arguments: those of its own, and the rest."""
    return [a for a in session.posargs if a in own], [a for a in session.posargs if a not in own]


@nox.session(venv_backend="venv", venv_location=SHARED)
def cpu(session: nox.Session) -> None:
    """Grade exercises/ on the CPU and show the score board; `-- --strict` hands on kata's exit status."""
    install(session)
    own, rest = split(session, "--strict")
    session.run("kata", "grade", *(rest or ["all"]), success_codes=[0] if own else [0, 1])
    session.run("kata")


@nox.session(venv_backend="venv", venv_location=SHARED)
def cuda(session: nox.Session) -> None:
    """Grade exercises/ on the GPU; without one say so and fail, or succeed with `-- --allow-missing`."""
    install(session)
    own, rest = split(session, "--allow-missing", "--strict")
    probe = "import torch; print(torch.cuda.is_available())"
    if "True" not in (session.run("python", "-c", probe, silent=True) or ""):
        session.log("not run here: no CUDA device that torch can use（此處不能評：torch 找不到 CUDA 裝置）")
        if "--allow-missing" not in own:
            session.error("no CUDA device; `nox -s cuda -- --allow-missing` accepts that")
        return
    codes = [0] if "--strict" in own else [0, 1]
    session.run("kata", "grade", *(rest or ["all"]), "--device", "cuda", success_codes=codes)


@nox.session(venv_backend="venv", venv_location=SHARED)
def tests(session: nox.Session) -> None:
    """The project's own tests: of the engine, then one round of the self-test."""
    install(session)
    session.run("python", "-m", "pytest", "tests", *session.posargs)
    if not session.posargs:
        session.run("python", "-m", "torch_kata.selftest", "all", "--rounds", "3")


@nox.session(venv_backend="venv", venv_location=SHARED)
def selftest(session: nox.Session) -> None:
    """The whole matrix that proves the graders, 20 seeds for each reference; `-- ch1 --rounds 3 --json FILE`."""
    install(session)
    session.run("python", "-m", "torch_kata.selftest", *(session.posargs or ["all"]))


@nox.session(venv_backend="venv", venv_location=SHARED)
def bench(session: nox.Session) -> None:
    """The speed of the program itself, as ratios; `-- speed` for the false verdicts of the speed budgets."""
    install(session)
    own, rest = split(session, "speed")
    session.run("python", "tests/bench_speed.py" if own else "tests/bench_program.py", *rest)


@nox.session(venv_backend="venv", venv_location=SHARED)
def lint(session: nox.Session) -> None:
    """ruff, lint and format; `-- --fix` mends."""
    install(session)
    own, _ = split(session, "--fix")
    session.run("ruff", "check", ".", *own)
    session.run("ruff", "format", *([] if own else ["--check"]), ".")
