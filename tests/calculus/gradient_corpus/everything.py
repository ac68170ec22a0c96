"""Every file of the corpus; importing this fills the table."""

from tests.calculus.gradient_corpus import (
    attacks_development,
    correct_development,
    correct_examination,
    correct_library_examination,
    other_development,
    other_examination,
    wrong_calls_development,
    wrong_calls_examination,
    wrong_development,
    wrong_examination,
)

FILES = (
    attacks_development,
    correct_development,
    correct_examination,
    correct_library_examination,
    other_development,
    other_examination,
    wrong_calls_development,
    wrong_calls_examination,
    wrong_development,
    wrong_examination,
)
