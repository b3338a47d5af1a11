"""What a document is, to objectives that ask: a file; where there is one file, each part between blank lines.

The second is BERT's format. A file is split first and parted then, so what is held out of it does not depend
on who asks; the parts keep their numbers, wherever the text around them went.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from .corpus import Document
from .sentences import paragraphs

Blocks = tuple[str, list[tuple[bool, str]]]  # a document's name; its blocks, and whether each is held out


def part_blocks(blocks: Iterable[Blocks]) -> Iterator[Blocks]:
    """Yield the blocks of one file as those of its parts between blank lines, with a number behind the name.

    Parameters
    ----------
    blocks : iterable of (str, list of (bool, str))
        The whole file in order, in pieces of any kind: a part that lies across two has one number.

    Examples
    --------
    >>> for part in part_blocks([("a", [(False, "One.\\n"), (True, "Two.\\n\\nThree.")])]):
    ...     print(part)
    ('a:1', [(False, 'One.\\n'), (True, 'Two.\\n\\n')])
    ('a:2', [(True, 'Three.')])
    """
    number, newlines = 0, 2  # how many there were since the last word
    for name, of_name in blocks:
        found = []
        for is_held, block in of_name:
            for part in paragraphs(block):
                if part.strip():
                    newlines += part[: -len(part.lstrip())].count("\n")
                    number += newlines > 1
                    newlines = 0
                if number:
                    found.append((number, is_held, part))
                newlines += part[len(part.rstrip()) :].count("\n")
        for n, run in groupby(found, key=lambda item: item[0]):
            yield f"{name}:{n}", [(is_held, part) for _, is_held, part in run]


def separate(documents: list[Document]) -> list[Document]:
    """Return one document as its parts between blank lines; several as they are.

    Examples
    --------
    >>> separate([Document("a.txt", "One.\\nTwo.\\n\\nThree.\\n")])
    [Document(name='a.txt:1', text='One.\\nTwo.\\n\\n'), Document(name='a.txt:2', text='Three.\\n')]
    """
    if len(documents) != 1:
        return documents
    blocks = part_blocks((name, [(False, text)]) for name, text in documents)
    return [Document(name, "".join(part for _, part in of_part)) for name, of_part in blocks]
