"""Which code is the learner's: the files of the answer being graded, and whether they are on the stack."""

from __future__ import annotations

import os
import sys
from types import FrameType

FILES: set[str] = set()
REFERENCES: set[str] = set()
GRADERS = os.path.join(os.path.realpath(os.path.join(__file__, *[os.pardir] * 3)), "graders", "")


def is_calling(frame: FrameType | None = None) -> bool:
    """Whether code of the learner's file is on this thread's stack, and called no code of a grader in turn."""
    frame = frame or sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename in FILES:
            return True
        if frame.f_code.co_filename.startswith(GRADERS):
            return False
        frame = frame.f_back
    return False
