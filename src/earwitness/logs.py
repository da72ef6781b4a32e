"""How log lines leave a process: structured, to standard error. Secrets are never given to a logger."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(level: str = "info", form: str = "console", **process: str) -> None:
    """Sets up logging once per process.

    :param level: least level that is written: debug, info, warning, error.
    :param form: ``console`` or ``json``.
    :param process: fields for every line, such as ``process="edge"``.
    """
    renderer: structlog.types.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        # Plain tracebacks: the pretty ones print local variables, which may hold secrets.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if form == "json" else _keep,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(**process)
    logging.basicConfig(
        stream=sys.stderr, level=max(number, logging.WARNING), format="%(levelname)s %(name)s %(message)s"
    )


def _keep(_logger: object, _name: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return event
