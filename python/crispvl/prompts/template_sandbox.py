"""A sandbox for the Jinja templates of model files, which nobody has vouched for.

Jinja's own sandbox keeps a template from the interpreter; this one also bounds what it costs: its
source, the values it makes, the steps it takes and the time that they take. Every operation that
makes a value or goes through one, as comparing and hashing do, passes through here first, and every
loop is counted; what is in between takes time in proportion to a value's size at most.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from crispvl.prompts.template_costs import (
    LimitError,
    bounded,
    check_size,
    checked,
    concat,
    size_of,
    spend,
)

MAX_SOURCE = 100_000
"""Characters of a template; the longest that are published have a quarter of it."""

MAX_NUMBER = 100_000
"""Of a width, a count or a repetition."""

_OTHER_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)

_STRING_METHODS = """
capitalize casefold center count endswith find format index isalnum isalpha isdecimal isdigit
islower isnumeric isspace istitle isupper join ljust lower lstrip partition removeprefix
removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip
swapcase title upper zfill
"""
_FILTERS = """
abs attr batch capitalize center count d default dictsort e escape filesizeformat first float
forceescape format groupby indent int items join last length list lower map max min random reject
rejectattr replace reverse round safe select selectattr slice sort string sum title trim unique
upper urlencode wordcount
"""


def compile_template(source: str) -> jinja2.Template:
    """Compiles a template, for `render_template`.

    Raises:
        jinja2.TemplateError: It is none, or too long or too deeply nested.
    """
    if len(source) > MAX_SOURCE:
        raise LimitError(f"has {len(source)} characters, more than {MAX_SOURCE}")
    environment = _environment()
    try:
        with bounded():
            tree = environment.parse(source)
            for node in tree.find_all(_OTHER_FILES):
                raise jinja2.TemplateSyntaxError("it needs another file", node.lineno)
            tree = _Counted().visit(tree)
            code = environment.compile(tree)
    except (RecursionError, MemoryError) as error:
        raise LimitError("is nested too deeply") from error
    except (SyntaxError, ValueError, OverflowError) as error:
        raise LimitError(f"does not compile ({error})") from error
    return jinja2.Template.from_code(environment, code, environment.make_globals(None))


def render_template(template: jinja2.Template, variables: Mapping[str, Any]) -> str:
    """Returns what a template writes.

    Args:
        template: From `compile_template`.
        variables: What it may use; the larger they are, the more it may cost.

    Raises:
        LimitError: It costs too much.
        Exception: Whatever else it fails with.
    """
    try:
        with bounded(dict(variables)):
            return template.render(variables)
    except RecursionError as error:
        raise LimitError("calls itself too deeply") from error
    except MemoryError as error:
        raise LimitError("needs more memory than there is") from error


class _Counted(NodeTransformer):
    """Makes what costs in proportion to a value pass through filters of ours."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - as Jinja names it
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_elements", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_text", [], [], None, None, lineno=node.lineno)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _weighed(node.expr)
        for operand in node.ops:
            operand.expr = _weighed(operand.expr)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802 - of a dict
        self.generic_visit(node)
        node.key = _weighed(node.key)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):  # a copy
            return _weighed(node)
        node.arg = _weighed(node.arg)
        return node


def _weighed(node: nodes.Expr) -> nodes.Expr:
    """Returns an expression that is refused where its value is too large or too deep."""
    if isinstance(node, nodes.Const):
        return node
    return nodes.Filter(node, "_checked", [], [], None, None, lineno=node.lineno)


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        size = size_of(left) + size_of(right)
        if operator == "%" and isinstance(left, str):
            _check_format(left, size)
        elif operator == "*":
            _check_product(left, right)
        elif operator == "**" and not (abs(left) < 1e9 and abs(right) < 64):
            raise LimitError("computes a power that is too large")
        return checked(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        method = f".{getattr(__obj, '__name__', type(__obj).__name__)}"
        bound = getattr(__obj, "__wrapped__", __obj)  # Jinja wraps str.format
        _before(method, getattr(bound, "__self__", None), args, kwargs)
        return checked(super().call(__context, __obj, *args, **kwargs))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str) and attr not in _STRING_METHODS.split():
            return False
        return super().is_safe_attribute(obj, attr, value)


def _environment() -> _Sandbox:
    environment = _Sandbox(
        trim_blocks=True, lstrip_blocks=True, finalize=_finalized,
        extensions=["jinja2.ext.loopcontrols", _Generation],
    )  # fmt: skip
    filters = {name: environment.filters[name] for name in _FILTERS.split()}
    environment.filters = {name: _guarded(name, function) for name, function in filters.items()}
    environment.filters["tojson"] = _guarded("tojson", _to_json)
    environment.filters["_elements"] = _elements
    environment.filters["_text"] = _text
    environment.filters["_checked"] = checked
    tests: dict[str, Any] = dict(environment.tests)
    environment.tests = {name: _sized(test) for name, test in tests.items()}
    environment.concat = concat  # type: ignore[method-assign]
    environment.globals = {
        name: environment.globals[name] for name in ("range", "dict", "namespace")
    }
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    n_hidden = int(hasattr(function, "jinja_pass_arg"))  # the context, which Jinja passes first

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        shown = args[n_hidden:]
        _before(name, shown[0] if shown else None, shown[1:], kwargs)
        return checked(function(*args, **kwargs))

    return call


def _sized(test: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(test)
    def call(*args: Any) -> Any:
        size_of(args)
        return test(*args)

    return call


def _before(name: str, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuses a call whose result could be much larger than what it is given.

    Args:
        name: Of a filter, or of a method with a point before it.
        value: What is filtered, or the method's object.
        args: Further arguments.
        kwargs: Further arguments.
    """
    given = [*args, *kwargs.values()]
    size = size_of(value)
    total = size + sum(map(size_of, given))
    for number in given:
        if isinstance(number, (int, float)) and not abs(number) <= MAX_NUMBER:
            raise LimitError(f"calls {name} with a number beyond {MAX_NUMBER}")
    if name in ("replace", ".replace") and len(given) >= 2:
        old, new = str(given[0]), str(given[1])
        check_size(size + (str(value).count(old) + 1) * len(new))
    elif name == ".join" and given:
        check_size(total + len(value) * _count(given[0]))
    elif name == "join" and given:
        check_size(total + len(str(given[0])) * _count(value))
    elif name in ("indent", "tojson"):
        widths = [len(n) if isinstance(n, str) else n for n in given if isinstance(n, (str, int))]
        check_size(size + (size if name == "tojson" else str(value).count("\n") + 1) * sum(widths))
    elif name in ("format", ".format"):
        _check_format(str(value), total)


def _check_format(form: str, total: int) -> None:
    """Refuses a pattern that widens what it is given, or repeats it too often."""
    if re.search(r"%[^a-zA-Z%]*(\d{4}|\*)|\{[^}]*(\d{4}|\{)", form):
        raise LimitError("formats with a width that is too large")
    check_size(total * (1 + form.count("%") + form.count("{")))


def _check_product(left: Any, right: Any) -> None:
    for value, n in ((left, right), (right, left)):
        if isinstance(value, (str, list, tuple)) and isinstance(n, int):
            check_size(size_of(value) * max(n, 0))


def _count(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else MAX_NUMBER


def _elements(value: Any) -> Any:
    """What a loop goes through; each of it is a step."""
    elements = []
    for element in value:
        elements.append(element)
        spend(1)
    return elements


def _text(values: Iterable[Any]) -> str:
    return concat([value if isinstance(value, str) else str(_finalized(value)) for value in values])


def _finalized(value: Any) -> Any:
    """What is going to be written: its text is about as long as the value is large."""
    return checked(value)


class _Generation(Extension):
    """Around what the assistant wrote, a mark for training; the prompt is as without it."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
