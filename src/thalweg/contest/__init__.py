"""The contest: five tasks with withheld parts, entries of one file each, and a board that one command makes.

`task_named` finds a task, which says what an entry gets and what it gives. `judge` lets an `Entry` play the
problems that a secret seed makes, in a process behind the `strongest` `Protection` this machine has, within
`EntryLimits`, and what it came to is a `BoardRow`, a refusal with its cause too. A `Board` is a folder of rows, and
`board_page` its page. `own_entries` are methods and null models of this package, judged like any other.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
