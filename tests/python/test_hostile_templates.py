"""Chat templates that cost too much are refused in words when the model is loaded, and soon."""

from __future__ import annotations

import pytest
from crispvl.errors import ModelFileError
from crispvl.prompts.chat_template import ChatTemplate
from crispvl.prompts.messages import Message

LOOP = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
DOUBLED = "{% set x = 'aaaaaaaaaaaaaaaa' %}"

NESTED = "{% set n = namespace(x=0, y=0) %}"
DEEP = (
    NESTED
    + "{% for a in 'abc' %}{% for b in range(99999) %}{% set n.x = (n.x,) %}{% endfor %}"
    + "{% endfor %}"
)
TWICE = "{% set x = (0,) %}{% set y = (0,) %}" + "{% set x = (x, x) %}{% set y = (y, y) %}" * 60
KEPT = "{% for a in range(99999) %}"

HOSTILE = {
    "nested brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "nested lists": "{{ " + "[" * 3000 + "]" * 3000 + " }}",
    "a long sum": "{{ " + "+".join(["1"] * 30_000) + " }}",
    "nested ifs": "{% if 1 %}" * 4000 + "{% endif %}" * 4000,
    "nested loops": "{% for a in 'ab' %}" * 30 + "{% endfor %}" * 30,
    "a long source": "x" * 200_000,
    "a huge number": "{{ " + "9" * 50_000 + " }}",
    "loops of loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}",
    "a loop's own test": "{% for a in range(9999) %}{% for b in range(99999) if b < 0 %}"
    "{% endfor %}{% endfor %}",
    "a stored range": "{% set r = range(99999) %}{% for a in r %}{% for b in r %}{% endfor %}"
    "{% endfor %}",
    "a recursive loop": "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "a recursive macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a branching macro": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}"
    "{% endmacro %}{{ f(60) }}",
    "a power": "{{ 9 ** 9 ** 9 }}",
    "a factorial": "{% set n = namespace(x=2) %}{% for a in range(99999) %}"
    "{% set n.x = n.x * n.x %}{% endfor %}",
    "a product": "{{ 'a' * 10 ** 10 }}",
    "a product of lists": "{{ [[0] * 9999] * 9999 }}",
    "a product the other way": "{{ 999999999999 * 'a' }}",
    "doubling by +": DOUBLED + "{% set x = x + x %}" * 40 + "{{ x }}",
    "doubling by ~": DOUBLED + "{% set x = x ~ x %}" * 40 + "{{ x }}",
    "doubling by blocks": DOUBLED + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40 + "{{ x }}",
    "doubling by filters": DOUBLED + "{% set x = x|replace('a', 'aa') %}" * 40 + "{{ x }}",
    "doubling by methods": DOUBLED + "{% set x = x.replace('a', 'aa') %}" * 40 + "{{ x }}",
    "doubling by join": DOUBLED + "{% set x = [x, x]|join(x) %}" * 40 + "{{ x }}",
    "doubling by str.join": DOUBLED + "{% set x = x.join([x, x]) %}" * 40 + "{{ x }}",
    "doubling by %": DOUBLED + "{% set x = '%s%s' % (x, x) %}" * 40 + "{{ x }}",
    "doubling by format": DOUBLED + "{% set x = '{0}{0}'.format(x) %}" * 40 + "{{ x }}",
    "doubling lists": "{% set x = [0] %}" + "{% set x = [x, x] %}" * 60 + "{{ x }}",
    "doubling lists as text": "{% set x = [0] %}" + "{% set x = [x, x] %}" * 60 + "{{ x|string }}",
    "doubling lists as JSON": "{% set x = [0] %}" + "{% set x = [x, x] %}" * 60 + "{{ x|tojson }}",
    "doubling namespaces": "{% set x = namespace(a=1) %}"
    + "{% set x = namespace(a=x, b=x) %}" * 60
    + "{{ x }}",
    "a width": "{{ '%999999999d' % 1 }}",
    "a width beside": "{{ '%*d' % (999999999, 1) }}",
    "a width in braces": "{{ '{:999999999}'.format(1) }}",
    "a width within braces": "{{ '{:{}}'.format(1, 999999999) }}",
    "a width of a filter": "{{ 'a'|center(999999999) }}",
    "a width of a method": "{{ 'a'.ljust(999999999) }}",
    "zeros": "{{ '1'.zfill(999999999) }}",
    "an indent": "{{ ('a\n' * 9999)|indent(99999) }}",
    "an indent of JSON": "{{ ([[0]] * 9999)|tojson(indent=9999) }}",
    "batches": "{{ [1]|batch(999999999, 'x')|list }}",
    "words of Latin": "{{ lipsum(n=9999999) }}",
    "much output": "{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
    "a comparison": TWICE + "{% if x == y %}{% endif %}",
    "an order": TWICE + "{% if x < y %}{% endif %}",
    "a search": TWICE + "{% if x in [y] %}{% endif %}",
    "a test": TWICE + "{% if x is eq y %}{% endif %}",
    "a test of a search": TWICE + "{% if x is in [y] %}{% endif %}",
    "a selection": TWICE + "{{ [y]|select('in', [x])|list|length }}",
    "a key": TWICE + "{% set d = {x: 1} %}",
    "a key that is looked for": TWICE + "{{ {}[x] }}",
    "a deep key": DEEP + "{% set d = {n.x: 1} %}",
    "a deep key that is looked for": DEEP + "{{ {}[n.x] }}",
    "a deep key in a search": DEEP + "{{ n.x in {} }}",
    "a deep key that is attributed": DEEP + "{{ {}|attr(n.x) }}",
    "deep elements that are made unique": DEEP + "{{ [n.x]|unique|list|length }}",
    "slices that are kept": NESTED
    + "{% set big = 'ab' * 490000 %}"
    + KEPT
    + "{% set n.x = [n.x, big[1:]] %}{% endfor %}",
    "slices of lists that are kept": NESTED
    + "{% set big = [0] * 490000 %}"
    + KEPT
    + "{% set n.x = [n.x, big[1:]] %}{% endfor %}",
    "blocks that are kept": NESTED
    + KEPT
    + f"{{% set y %}}{'x' * 40_000}{{{{ a }}}}{'y' * 40_000}{{% endset %}}"
    + "{% set n.x = [n.x, y] %}{% endfor %}",
    "slow searches": "{% set x = 'a' * 900000 %}"
    "{% for a in range(99999) %}{{ ('a' * 400000 ~ 'b') in x }}{% endfor %}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_template_that_costs_too_much_is_refused_when_it_is_loaded(name: str) -> None:
    with pytest.raises(ModelFileError, match=r"\[chat template\]"):
        ChatTemplate(LOOP + HOSTILE[name])


def test_a_template_that_turns_hostile_later_is_refused_then() -> None:
    late = "{% if messages|length > 2 %}" + HOSTILE["loops of loops"] + "{% endif %}"
    template = ChatTemplate(LOOP + late)
    one = Message("user", ("hello",))
    assert "hello" in template.render([one])
    with pytest.raises(ModelFileError, match="more than"):
        template.render([one, Message("assistant", ("yes",)), one])


def test_a_template_that_fails_in_its_own_way_is_refused_in_words() -> None:
    # Jinja writes the infinity that it computes as a name.
    template = ChatTemplate("{{ '1e999'|float|int }}")
    with pytest.raises(ModelFileError, match=r"^\[chat template\] expected a prompt; found .*; "):
        template.render([Message("user", ["Hello"])])


def test_what_a_template_says_against_messages_is_cut() -> None:
    template = ChatTemplate(LOOP + "{{ raise_exception('a' * 900000) }}")
    with pytest.raises(ModelFileError, match=r"aaa…") as refused:
        template.render([Message("user", ("hello",))])
    assert len(str(refused.value)) < 1000


def test_long_conversations_are_no_cost_of_the_templates() -> None:
    messages = [Message("user", ("x" * 3_000_000,))]
    for _ in range(500):
        messages += [Message("assistant", ("fine",)), Message("user", ("go on",))]
    prompt = ChatTemplate(LOOP).render(messages)
    assert prompt.count("<|im_end|>") == len(messages)
    assert len(prompt) > 3_000_000


def test_what_published_templates_do_is_done() -> None:
    source = (
        "{%- set ns = namespace(found=false, text='') -%}"
        "{%- for m in messages[::-1] if not ns.found -%}"
        "{%- set ns.found = m.role == 'user' -%}{%- endfor -%}"
        "{%- for m in messages recursive -%}"
        "{{- '<' ~ loop.index0 ~ ('/' if loop.last else '') ~ '>' + m['role'] | upper -}}"
        "{%- if m.content is string -%}{{- m.content.strip().split('|')[0] | trim -}}"
        "{%- else -%}{%- for part in m.content -%}"
        "{{- part.text if part.type == 'text' else '<image>' -}}{%- endfor -%}{%- endif -%}"
        "{%- endfor -%}"
        "{{- ns.found ~ ('%02d' % 7) ~ '{:>3}'.format(5) -}}"
        "{{- [1, 2] | map('string') | join(', ') -}}"
        "{{- {'a': 1} | tojson -}}"
        "{{- messages | selectattr('role', 'equalto', 'user') | list | length -}}"
        "{%- macro say(x) -%}[{{ x }}]{%- endmacro -%}{{- say('hi') -}}"
    )
    messages = [Message("system", (" rules ",)), Message("user", ("ask|no",))]
    prompt = ChatTemplate(source).render(messages)
    assert prompt == '<0>SYSTEMrules<1/>USERaskTrue07  51, 2{"a": 1}1[hi]'


@pytest.mark.parametrize(
    "tag",
    [
        "{% include 'x' %}",
        "{% include 'x' ignore missing %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% if messages|length > 9 %}{% include 'x' %}{% endif %}",
    ],
)
def test_a_template_that_needs_another_file_is_refused_when_it_is_loaded(tag: str) -> None:
    with pytest.raises(ModelFileError, match="another file"):
        ChatTemplate(tag + LOOP)


def test_a_prompt_that_no_utf8_can_hold_is_the_templates_error() -> None:
    with pytest.raises(ModelFileError, match="surrogates"):
        ChatTemplate(r"{{ '\ud800' }}" + LOOP).render([Message("user", ("hello",))])
