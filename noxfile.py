"""One shared environment; `nox -s cpu` grades, `nox -s tests` tests the project."""

import subprocess
import sys
from pathlib import Path

import nox

nox.options.sessions = ["cpu"]
# nox would build an environment for every session, 5 GB each; ours share one.
nox.options.default_venv_backend = "none"

ENVIRONMENT = Path(".venv").absolute()
BIN = ENVIRONMENT / ("Scripts" if sys.platform == "win32" else "bin")


def install(session: nox.Session, extra: str = "dev") -> None:
    """The shared environment, with the project at the versions the tests ran with; nothing when it stands already.

    `extra` names the optional dependencies; those of another session stay.
    """
    if not (BIN / "python").exists() and not (BIN / "python.exe").exists():
        session.log(f"creating {ENVIRONMENT}")
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    stamp = ENVIRONMENT / ("torch-kata-installed" if extra == "dev" else f"torch-kata-{extra}-installed")
    wanted = Path("pyproject.toml").read_text("utf-8") + Path("constraints.txt").read_text("utf-8")
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        run(session, "python", "-m", "pip", "install", "-e", f".[{extra}]", "-c", "constraints.txt")
        stamp.write_text(wanted, "utf-8")


def run(session: nox.Session, program: str, *arguments: str, **options: object) -> object:
    """Runs a program of the shared environment."""
    return session.run(str(BIN / program), *arguments, external=True, **options)


def split(session: nox.Session, *own: str) -> tuple[list[str], list[str]]:
    """The session's arguments: those of its own, and the rest."""
    return [a for a in session.posargs if a in own], [a for a in session.posargs if a not in own]


@nox.session
def cpu(session: nox.Session) -> None:
    """Grade exercises/ on the CPU and show the score board; `-- --strict` hands on kata's exit status."""
    install(session)
    own, rest = split(session, "--strict")
    run(session, "kata", "grade", *(rest or ["all"]), success_codes=[0] if own else [0, 1])
    run(session, "kata")


@nox.session
def cuda(session: nox.Session) -> None:
    """Grade exercises/ on the GPU; without one say so and fail, or succeed with `-- --allow-missing`."""
    install(session)
    own, rest = split(session, "--allow-missing", "--strict")
    probe = "import torch; print(torch.cuda.is_available())"
    if "True" not in (run(session, "python", "-c", probe, silent=True) or ""):
        session.log("not run here: no CUDA device that torch can use（此處不能評：torch 找不到 CUDA 裝置）")
        if "--allow-missing" not in own:
            session.error("no CUDA device; `nox -s cuda -- --allow-missing` accepts that")
        return
    codes = [0] if "--strict" in own else [0, 1]
    run(session, "kata", "grade", *(rest or ["all"]), "--device", "cuda", success_codes=codes)


@nox.session
def tests(session: nox.Session) -> None:
    """The project's own tests; `-- ARGS` are pytest's. What proves the graders is `nox -s selftest`."""
    install(session)
    run(session, "python", "-m", "pytest", "tests", *session.posargs)


@nox.session
def selftest(session: nox.Session) -> None:
    """The whole matrix that proves the graders, 20 seeds for each reference; `-- ch1 --rounds 3 --json FILE`."""
    install(session)
    run(session, "python", "-m", "torch_kata.selftest", *(session.posargs or ["all"]))


@nox.session
def bench(session: nox.Session) -> None:
    """The speed of the program itself, as ratios; `-- speed` for the false verdicts of the speed budgets."""
    install(session)
    own, rest = split(session, "speed")
    run(session, "python", "tests/bench_speed.py" if own else "tests/bench_program.py", *rest)


@nox.session
def serve(session: nox.Session) -> None:
    """A real TorchServe answers with task 78's archive, on loopback; needs Java. `-- --target solutions`."""
    install(session)
    install(session, "serve")
    # Ctrl-C reaches the program too, and it needs a moment to end the server.
    patience = {"interrupt_timeout": 30, "terminate_timeout": 30}
    run(session, "python", "-m", "torch_kata.serve", *session.posargs, **patience)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, lint and format; `-- --fix` mends."""
    install(session)
    own, _ = split(session, "--fix")
    run(session, "ruff", "check", ".", *own)
    run(session, "ruff", "format", *([] if own else ["--check"]), ".")
