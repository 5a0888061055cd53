"""How long an answer to the hub may be. What only looks comes in pages, so that nothing of it is lost."""

from edge.sayings import say
from tocsin.said import Said, SaidError

LONGEST = 16_000    # characters of one language: some 200 series, and packed a few kB on the link


def fitting(words: Said) -> Said:
    """Cut where it is too long, with what is missing."""
    more = max(len(words.en), len(words.zh)) - LONGEST
    if more <= 0:
        return words
    return say("cut", words=Said(words.en[:LONGEST], words.zh[:LONGEST]), more=more)


def page_of(words: Said, page: int) -> Said:
    """The lines of that page, from 1 on, and which it is; all of it where it is short.

    Raises SaidError for a page that is not there.
    """
    pages = max(len(_pages(words.en)), len(_pages(words.zh)))
    if not 1 <= page <= pages:
        raise SaidError(say("no_page", page=page, pages=pages))
    if pages == 1:
        return words
    at = say("next_page" if page < pages else "last_page", page=page, pages=pages, next=page + 1)
    return Said(*("\n".join([*_at(_pages(text), page), end]) for text, end in ((words.en, at.en), (words.zh, at.zh))))


def _at(pages: list[str], page: int) -> list[str]:
    return pages[page - 1:page]


def _pages(text: str) -> list[str]:
    """Whole lines together; one that is longer than a page is broken."""
    lines = [line[start:start + LONGEST] for line in text.split("\n") for start in range(0, max(1, len(line)), LONGEST)]
    pages = [lines[0]]
    for line in lines[1:]:
        if len(pages[-1]) + 1 + len(line) > LONGEST:
            pages.append(line)
        else:
            pages[-1] = f"{pages[-1]}\n{line}"
    return pages
