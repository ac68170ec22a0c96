"""Every file of the corpus; importing this fills the table."""

from tests.calculus.gradient_corpus import (
    correct_development,
    correct_examination,
    other_development,
    other_examination,
    wrong_development,
    wrong_examination,
)

FILES = (
    correct_development,
    correct_examination,
    other_development,
    other_examination,
    wrong_development,
    wrong_examination,
)
