"""How much each setting mattered."""

from __future__ import annotations

from jmml.evaluation.wording import number
from pipelines.reporting import figures
from pipelines.reporting.figures import element
from pipelines.reporting.wording import grouped, many
from pipelines.sweep.show.charts.axes import Axis
from pipelines.sweep.show.charts.figure import Figure
from pipelines.sweep.show.importance import Importances


def importances(found: Importances) -> Figure | None:
    """A bar per setting with its standard error."""
    if not found.shares:
        return None
    rows, left, right = list(found.shares.items()), 190.0, 660.0
    shown = [*rows, ("settings together", found.together)]
    height = 30.0 + 26 * len(shown) + 22
    top, bottom = 22.0, height - 30
    highest = max(share + found.spread.get(key, 0.0) for key, share in shown)
    axis = Axis("linear", 0.0, min(1.0, max(0.1, highest)))
    parts = []
    for at, words in axis.ticks(5):
        x = left + at * (right - left)
        percent = f"{100 * float(words):g} %"
        parts += [
            figures.line(x, top - 6, x, bottom, "grid"),
            figures.text(x, bottom + 16, percent, anchor="middle"),
        ]
    for i, (key, share) in enumerate(shown):
        y = top + 26 * i
        end = left + (axis.place(share) or 0.0) * (right - left)
        setting = key in found.shares
        parts.append(figures.text(left - 10, y + 13, key, "name" if setting else "name soft", "end"))
        class_ = "bar" if setting else "bar soft"
        parts.append(element("rect", x=left, y=y + 2, width=max(0.5, end - left), height=14, class_=class_))
        spread = found.spread.get(key)
        words = f"{100 * share:.0f} %"
        if spread is not None:
            low = left + (axis.place(max(0.0, share - spread)) or 0.0) * (right - left)
            high = left + min(1.0, axis.place(share + spread) or 0.0) * (right - left)
            parts += [
                figures.line(low, y + 9, high, y + 9, "whisker"),
                figures.line(low, y + 6, low, y + 12, "whisker"),
            ]
            parts.append(figures.line(high, y + 6, high, y + 12, "whisker"))
            end = max(end, high)
            words += f" ± {100 * spread:.0f}"
        parts.append(figures.text(end + 8, y + 13, words, "tick"))
    caption = (
        "Part of the score's variance over the whole space that each setting explains by itself (functional ANOVA over "
        "a random forest, the space counted evenly), with its standard error from random halves of the trials. "
        f"Computed from {many(found.trials, 'trial')}"
        + (
            f", evenly by score out of {grouped(found.available)}"
            if found.trials < found.available
            else " with a score"
        )
        + "; trials that were stopped early count with the best score they reached."
    )
    picture = figures.svg(740, height, parts, label="Importance of each setting")
    return Figure("importances", "What mattered", caption, [picture], wide=True)


def importance_words(found: Importances) -> str:
    """How far the bars can be trusted, or why there are none."""
    if found.reason:
        return f"Cannot be told: {found.reason}."
    if not found.sound:
        return (
            f"Read the bars as noise: for trials it was not fitted to, the forest predicts nothing "
            f"(cross-validated R² {number(found.r2)}). More trials may help, or the settings do not matter here."
        )
    words = (
        f"The forest predicts {100 * found.r2:.0f} % of the variance of trials it was not fitted to "
        f"(cross-validated R² {number(found.r2)}); the bars divide what it knows."
    )
    order = list(found.shares)
    if len(order) > 1:
        first, second = order[:2]
        apart = found.shares[first] - found.shares[second]
        noise = 2 * (found.spread[first] ** 2 + found.spread[second] ** 2) ** 0.5
        words += (
            f" {first} matters most, beyond the noise of these estimates."
            if apart > noise
            else f" The order is not certain: {first} and {second} are within the noise of each other."
        )
    return words
