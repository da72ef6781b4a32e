"""Reads audio, and says what a clip plays."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from earwitness.flows.errors import FlowExpressionError
from earwitness.flows.expressions import Expression
from earwitness.flows.model import AudioSpec, Clip
from earwitness.flows.nodes import is_prompt
from earwitness.flows.reading import Reader, UnreadableError
from earwitness.flows.source import Mapping, Node, Scalar
from earwitness.flows.values import NOT_SET, Audio, Say, Value, prompt_item


@dataclass(slots=True)
class AudioReader(Reader):
    """A reader that knows audio."""

    def audio(self, mapping: Mapping, key: str) -> AudioSpec:
        """``tts``, ``prompt``, ``exp``, ``defaultAudio``, or one of them for each language."""
        node = mapping.items.get(key)
        if node is None:
            return AudioSpec()
        with self.at(key):
            try:
                return self.audio_spec(node)
            except UnreadableError:
                return AudioSpec()

    def audio_spec(self, node: Node) -> AudioSpec:
        """Audio as written."""
        if isinstance(node, Scalar):
            return AudioSpec(None if node.is_null else self.spoken(node, ""))
        mapping = self.mapping(node, node)
        default: Clip | None = None
        languages: dict[str, Clip] = {}
        for key, inner in mapping.items.items():
            with self.at(key):
                if key in ("noValue", "none"):
                    continue
                if (
                    key == "tts"
                    and isinstance(inner, Mapping)
                    and "lit" not in inner.items
                    and "exp" not in inner.items
                ):
                    languages.update({lang.lower(): self.spoken(text, lang) for lang, text in inner.items.items()})
                elif key in ("tts", "prompt", "exp", "lit"):
                    default = self.clip(key, inner)
                elif key in ("defaultAudio", "audio"):
                    found = self.audio_spec(inner)
                    default = found.default or default
                    languages.update(found.by_language)
                elif re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", key):
                    found = self.audio_spec(inner)
                    if found.default:
                        languages[key.lower()] = found.default
                else:
                    remedy = "Audio is tts, prompt, exp, defaultAudio or a language such as en-us"
                    self.error(inner, f"{key!r} is no audio", remedy)
        return AudioSpec(default, languages)

    def clip(self, key: str, node: Node) -> Clip:
        """One ``tts``, ``prompt`` or ``exp``."""
        if key == "tts":
            return self.spoken(node, "")
        if key == "exp":
            if not isinstance(node, Scalar):
                raise self.stop(node, "exp holds no text", "Put the expression into quotes")
            return Clip(expression=self.parsed(node))
        name = self.literal(node, "name")
        if not isinstance(name, str) or not is_prompt(name):
            raise self.stop(node, f"{name!r:.80} is no prompt", "Prompts are Prompt.name or PromptSystem.name")
        self.refer("prompt", name, node)
        return Clip(prompt=name)

    def spoken(self, node: Node, language: str) -> Clip:
        """A text to be spoken."""
        if isinstance(node, Mapping) and "exp" in node.items and isinstance(inner := node.items["exp"], Scalar):
            return Clip(expression=self.parsed(inner))
        text = self.literal(node.items["lit"] if isinstance(node, Mapping) and "lit" in node.items else node, "text")
        if isinstance(text, str) and text.strip():
            self.texts.add((text, language.lower()))
        return Clip(text=str(text))


def clip_audio(clip: Clip, evaluate: Callable[[Expression], Value]) -> Audio:
    """What a clip plays.

    :raises FlowExpressionError: its expression has no value that can be played.
    """
    if clip.prompt:
        return Audio((prompt_item(clip.prompt),))
    if clip.expression is None:
        return Audio((Say(clip.text),) if clip.text.strip() else ())
    value = evaluate(clip.expression)
    if isinstance(value, Audio):
        return value
    if value is NOT_SET:
        return Audio(())
    if isinstance(value, str):
        return Audio((prompt_item(value),) if is_prompt(value) else (Say(value),) if value.strip() else ())
    raise FlowExpressionError("the expression is no audio")
